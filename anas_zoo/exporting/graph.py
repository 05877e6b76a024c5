"""A fixed network as an ONNX graph, written layer by layer in the operators that runtimes have kernels for.

torch's own exporter traces in seconds what is known beforehand, needs opset 18, and leaves chains of shape
arithmetic; these networks are a closed family of eight kinds of layers, so the graph is written from the
layers themselves. Tests hold it equal to torch and to torch's exporter.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar, cast

import numpy.typing as npt
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from anas_zoo.core.errors import ExportError
from anas_zoo.nets import Subnet
from anas_zoo.nets.blocks import (
    Block,
    ConvNormAct,
    FusedResidual,
    InvertedResidual,
    PlainBlock,
    SameConv2d,
    Shortcut,
    SqueezeExcite,
    spatial_conv,
)
from anas_zoo.space.plan import conv_side, same_padding

INPUT, OUTPUT = "image", "logits"
BATCH = "batch"  # name of the only free dimension

RELU6 = {"min": 0.0, "max": 6.0}
ONE_SIXTH = 1.0 / 6.0  # torch's hard sigmoid is relu6(x + 3) / 6

# In double precision both networks differ by rounding alone, some 1e-13 of the largest logit.
FOLDING_TOLERANCE = 1e-9

M = TypeVar("M", bound=nn.Module)


def fold_batch_norm(network: M, images: Tensor) -> M:
    """A copy of ``network`` on the CPU in evaluation mode whose batch norms are part of its convolutions.

    Args:
        network: a network of :class:`ConvNormAct` layers; it is left as it is.
        images: (N, C, R, R) to compare both networks on, in double precision.

    Raises :class:`ExportError` when the folded network does not compute the same.
    """
    original = copy.deepcopy(network).cpu().double().eval()
    folded = copy.deepcopy(original)
    for layer in folded.modules():
        if isinstance(layer, ConvNormAct) and isinstance(layer.bn, nn.BatchNorm2d):
            layer.conv = fuse_conv_bn_eval(layer.conv, layer.bn)
            layer.register_module("bn", nn.Identity())
    with torch.no_grad():
        want, got = original(images.double()), folded(images.double())
    allowed = FOLDING_TOLERANCE * max(1.0, float(want.abs().max()))
    difference = float((want - got).abs().max())
    if not difference <= allowed:  # so that NaN fails too
        raise ExportError(
            f"folding batch norm changes the logits by {difference:.3g}, at most {allowed:.3g} is rounding"
        )
    return folded.float()


def write_graph(
    network: Subnet,
    resolution: int,
    *,
    opset: int,
    batch: str | int = BATCH,
    dtype: torch.dtype = torch.float32,
) -> Any:
    """The ``onnx.ModelProto`` of ``network``: "image" (batch, C, R, R) -> "logits" (batch, classes), float32.

    Every tensor in it has the name of the parameter or layer that it comes from. The same network gives the
    same bytes.

    Args:
        network: in evaluation mode, on the CPU, its batch norms folded into the convolutions
            (:func:`fold_batch_norm`).
        resolution: side R of the images in pixels.
        opset: version of the ONNX operator set, 14 or newer.
        batch: name of the free batch dimension, or a fixed number of images.
        dtype: what weights are stored and computed in; input and output are float32 in any case.

    Raises :class:`ExportError` for a layer that has no form here (a batch norm that is not folded, another
    pooling than "avg", ...).
    """
    writer = _Writer(dtype)
    writer.network(network, resolution)
    image = [batch, network.in_chans, resolution, resolution]
    graph = helper.make_graph(
        writer.nodes,
        f"attentive_nas {network.arch.id}",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, network.num_classes])],
        list(writer.weights.values()),
    )
    opsets = [helper.make_opsetid("", opset)]
    # The oldest format that may hold this operator set, so that the oldest runtimes read the file.
    version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="anas-zoo")


class _Writer:
    """Collects nodes and weights; methods take and return the names of values."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.dtype = dtype

    def network(self, network: Subnet, resolution: int) -> None:
        x = INPUT
        if self.dtype != torch.float32:
            x = self.op("Cast", [x], "image.cast", to=onnx_type(self.dtype))
        x = self.conv_act(x, network.stem, "stem", resolution)
        side = _strided(resolution, network.stem.conv)
        for number, stage in enumerate(network.stages):
            for index, block in enumerate(cast(nn.Sequential, stage)):
                assert isinstance(block, Block)
                x = self.block(x, block, side, f"stages.{number}.{index}")
                side = _strided(side, spatial_conv(block))
        if isinstance(network.head, ConvNormAct):
            x = self.conv_act(x, network.head, "head", side)
        if network.global_pool.pool_type != "avg":
            kind = network.global_pool.pool_type
            raise ExportError(f"global pooling {kind!r} cannot be exported; make the model with 'avg'")
        x = self.op("GlobalAveragePool", [x], "global_pool")
        if not isinstance(network.mix, nn.Identity):
            assert isinstance(network.mix, nn.Conv2d)
            x = self.activation(self.conv(x, network.mix, "mix", 1), network.mix_act, "mix_act")
        x = self.op("Flatten", [x], "flatten", axis=1)
        x = self.linear(x, network.classifier, "classifier")
        if self.dtype != torch.float32:
            self.op("Cast", [x], "logits.cast", to=TensorProto.FLOAT)
        self.nodes[-1].output[0] = OUTPUT

    def block(self, x: str, block: Block, side: int, name: str) -> str:
        branch = x
        if isinstance(block, InvertedResidual):
            if isinstance(block.expand, ConvNormAct):
                branch = self.conv_act(branch, block.expand, f"{name}.expand", side)
            branch = self.conv_act(branch, block.depthwise, f"{name}.depthwise", side)
        else:
            assert isinstance(block, FusedResidual | PlainBlock)
            branch = self.conv_act(branch, block.dense, f"{name}.dense", side)
        if isinstance(block, PlainBlock):
            sum_ = self.add_shortcut(x, branch, block, side, name)
            return self.activation(sum_, block.act, f"{name}.dense.act")
        if isinstance(block.se, SqueezeExcite):
            branch = self.squeeze_excite(branch, block.se, f"{name}.se")
        branch = self.conv_act(branch, block.project, f"{name}.project", side)
        return self.add_shortcut(x, branch, block, side, name)

    def add_shortcut(self, x: str, branch: str, block: Block, side: int, name: str) -> str:
        if not block.has_shortcut:
            return branch
        shortcut = x
        if isinstance(block.shortcut, Shortcut):
            shortcut = self.shortcut(x, block.shortcut, side, f"{name}.shortcut")
        return self.op("Add", [shortcut, branch], f"{name}.add")

    def squeeze_excite(self, x: str, se: SqueezeExcite, name: str) -> str:
        gate = self.op("GlobalAveragePool", [x], f"{name}.pool")
        gate = self.activation(self.conv(gate, se.reduce, f"{name}.reduce", 1), se.act, f"{name}.act")
        gate = self.activation(self.conv(gate, se.expand, f"{name}.expand", 1), se.gate, f"{name}.gate")
        return self.op("Mul", [x, gate], f"{name}.scale")

    def shortcut(self, x: str, shortcut: Shortcut, side: int, name: str) -> str:
        stride, conv = shortcut.stride, shortcut.conv
        if stride == 1:
            if shortcut.dense:
                pads = [0, 0, 1, 1]  # not counted, which is what repeating the last pixel comes to
                x = self.op(
                    "AveragePool", [x], f"{name}.pool", kernel_shape=[2, 2], strides=[1, 1], pads=pads
                )
            return self.conv(x, conv, f"{name}.conv", side) if isinstance(conv, nn.Conv2d) else x
        padding = side % 2  # as nets.blocks.pool_shortcut; the zeros count as pixels
        x = self.op(
            "AveragePool",
            [x],
            f"{name}.pool",
            kernel_shape=[stride, stride],
            strides=[stride, stride],
            pads=[padding] * 4,
            count_include_pad=1,
        )
        return self.conv(x, conv, f"{name}.conv", side) if isinstance(conv, nn.Conv2d) else x

    def conv_act(self, x: str, layer: nn.Module, name: str, side: int) -> str:
        assert isinstance(layer, ConvNormAct)
        if not isinstance(layer.bn, nn.Identity):
            raise ExportError(f"{name}: its {type(layer.bn).__name__} is not folded into the convolution")
        return self.activation(self.conv(x, layer.conv, f"{name}.conv", side), layer.act, f"{name}.act")

    def conv(self, x: str, conv: nn.Conv2d, name: str, side: int) -> str:
        """A convolution on a ``side`` × ``side`` input; "same" padding depends on it."""
        before = after = int(conv.padding[0])
        if isinstance(conv, SameConv2d) and conv.stride[0] > 1:
            before, after = same_padding(side, conv.kernel_size[0], conv.stride[0])
        dilations = {} if conv.dilation == (1, 1) else {"dilations": list(conv.dilation)}
        return self.op(
            "Conv",
            [x, *self.parameters(name, conv.weight, conv.bias)],
            name,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=[before, before, after, after],
            group=conv.groups,
            **dilations,
        )

    def linear(self, x: str, layer: nn.Module, name: str) -> str:
        if not isinstance(layer, nn.Linear):
            raise ExportError(f"{name}: a {type(layer).__name__} cannot be exported")
        return self.op("Gemm", [x, *self.parameters(name, layer.weight, layer.bias)], name, transB=1)

    def activation(self, x: str, act: nn.Module, name: str) -> str:
        if isinstance(act, nn.Identity):
            return x
        if isinstance(act, nn.SiLU):  # runtimes fuse this pair; the newer Swish many do not know
            return self.op("Mul", [x, self.op("Sigmoid", [x], f"{name}.sigmoid")], name)
        if isinstance(act, nn.ReLU6):
            bounds = [self.constant(f"relu6.{end}", self.scalar(value)) for end, value in RELU6.items()]
            return self.op("Clip", [x, *bounds], name)
        if isinstance(act, nn.ReLU):
            return self.op("Relu", [x], name)
        if isinstance(act, nn.Sigmoid):
            return self.op("Sigmoid", [x], name)
        if isinstance(act, nn.Hardswish):
            return self.op("HardSwish", [x], name)
        if isinstance(act, nn.Hardsigmoid):
            return self.op("HardSigmoid", [x], name, alpha=ONE_SIXTH, beta=0.5)
        raise ExportError(f"{name}: a {type(act).__name__} cannot be exported")

    def parameters(self, name: str, weight: Tensor, bias: Tensor | None) -> list[str]:
        given = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return [
            self.constant(f"{name}.{kind}", tensor.detach().to(self.dtype).contiguous().numpy())
            for kind, tensor in given.items()
        ]

    def scalar(self, value: float) -> npt.NDArray[Any]:
        """A number in the type that the graph computes in."""
        found: npt.NDArray[Any] = torch.tensor(value, dtype=self.dtype).numpy()
        return found

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(values, name)
        return name

    def op(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name


def onnx_type(dtype: torch.dtype) -> int:
    """ONNX's number of a type of torch's."""
    return int(helper.np_dtype_to_tensor_dtype(torch.empty(0, dtype=dtype).numpy().dtype))


def _strided(side: int, conv: nn.Conv2d) -> int:
    if isinstance(conv, SameConv2d) and conv.stride[0] > 1:
        return conv_side(side, conv.stride[0])
    reach, padding = conv.dilation[0] * (conv.kernel_size[0] - 1), int(conv.padding[0])
    return (side + 2 * padding - reach - 1) // conv.stride[0] + 1
