"""Multiply-adds of an exported ONNX file, counted on its own graph. Needs no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ProfileError
from anas_zoo.entry import OnnxMacs
from anas_zoo.profiling.session import ERRORS_ONLY, read_graph
from anas_zoo.space import LayerKind, layer_kind
from anas_zoo.space.layers import LAYER_KINDS

Shape = tuple[int, ...]

PHOTOGRAPH = (480, 640)  # height and width of an image, for files that take one of any size

COUNTED = {"Conv", "Gemm", "MatMul"}  # data, weight and bias are their inputs, in this order

# Operators of exported files that have no multiply-adds, and why. One that is nowhere here stops the count,
# since leaving it out would count it as zero.
_REASONS = {
    "element-wise activation": (
        "Clip", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid",
        "Softplus", "Tanh",
    ),
    "element-wise arithmetic: products, if any, are not summed": (
        "Abs", "Add", "Ceil", "Cos", "Div", "Exp", "Floor", "Log", "Max", "Min", "Mod", "Mul", "Neg", "Pow",
        "Reciprocal", "Round", "Sin", "Sqrt", "Sub",
    ),
    "comparisons and choices only": (
        "And", "Equal", "GlobalMaxPool", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MaxPool",
        "Not", "Or", "ReduceMax", "Where",
    ),
    "sums and one scale per output; not a convolution in the paper's count": (
        "AveragePool", "CumSum", "GlobalAveragePool", "ReduceL2", "ReduceMean", "ReduceProd", "ReduceSum",
        "Resize", "Softmax",
    ),
    "a norm: sums, a scale and a shift of each value": (
        "BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization",
        "LpNormalization",
    ),
    "moves or describes values without computing any": (
        "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten", "Gather",
        "GatherElements", "GatherND", "Identity", "OneHot", "Pad", "Range", "Reshape", "ScatterND", "Shape",
        "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze",
    ),
    "changes the type or the scale of values, one by one": ("Cast", "DequantizeLinear", "QuantizeLinear"),
    "chooses a branch, whose operators are looked at like all others": ("If",),
}  # fmt: skip
ZERO_MACS = {name: reason for reason, names in _REASONS.items() for name in names}


def count_onnx_macs(path: Path, *, image_size: tuple[int, int] = PHOTOGRAPH) -> OnnxMacs:
    """Count the file at ``path``, whose weights may have any precision, for one image.

    Shapes are those of a real run on an image of zeros: static inference does not see through the
    preprocessing of images of any size. ``image_size`` is (height, width) for such a file; a larger one
    makes its preprocessing dearer and nothing else.

    Raises :class:`ProfileError` for a file that is none or cannot run, and for an operator that is not among
    :data:`COUNTED` and :data:`ZERO_MACS`.
    """
    model = read_graph(path, ProfileError)
    for value in (*model.graph.input, *model.graph.output):  # costs are per image: any batch will do
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value > 1:
            dims[0].dim_param = "batch"
    nodes = list(model.graph.node)
    if unknown := _refused(nodes):
        raise ProfileError(
            f"{path}: it uses operators whose multiply-adds are not known: {', '.join(unknown)}"
        )
    counted = [node for node in nodes if node.op_type in COUNTED]
    stem = next((node for node in counted if node.op_type == "Conv"), None)
    if stem is None:
        raise ProfileError(f"{path}: it has no convolution, so it is not a network")
    image = _image_input(model.graph, path)
    shape = _image_shape(image, path, image_size)
    operands = {name for node in counted for name in (node.output[0], *node.input)}
    shapes = _run_for_shapes(model, path, image, shape, operands)
    constants = _constants(model.graph)
    before = _ancestors(nodes, stem)

    network = [node for node in counted if node.output[0] not in before]
    macs = {node.output[0]: _macs(node, shapes) for node in counted}
    by_kind = _summed((_kind(node, shapes, first=node is stem), macs[node.output[0]]) for node in network)
    by_operator = _summed((node.op_type, macs[node.output[0]]) for node in network)
    preprocessing = _summed((n.op_type, macs[n.output[0]]) for n in counted if n.output[0] in before)
    weights = {node.input[1] for node in network} & constants
    biases = {name for node in network for name in node.input[2:3]} & constants
    return OnnxMacs(
        macs=sum(by_operator.values()),
        by_operator=dict(sorted(by_operator.items())),
        by_kind={kind: by_kind[kind] for kind in LAYER_KINDS if kind in by_kind},
        weights=sum(math.prod(shapes[name]) for name in weights),
        biases=sum(math.prod(shapes[name]) for name in biases),
        preprocessing_macs=dict(sorted(preprocessing.items())),
        input_shape=shape,
    )


def _name(node: Any) -> str:
    """'Conv', or 'com.microsoft.QGemm' outside the standard's own operators."""
    return str(node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}")


def _inside(node: Any) -> Iterator[Any]:
    """All nodes of the branches of an ``If``, and of those in them."""
    for attribute in node.attribute:
        for inside in attribute.g.node if attribute.HasField("g") else ():
            yield inside
            yield from _inside(inside)


def _refused(nodes: list[Any]) -> list[str]:
    """Operators of ``nodes`` that are unknown, and those that count but do so only in a branch."""
    inside = {_name(part) for node in nodes for part in _inside(node)}
    unknown = (inside | {_name(node) for node in nodes}) - COUNTED - ZERO_MACS.keys()
    return sorted(unknown | {f"{name} in a branch" for name in inside & COUNTED})


def _values_read(node: Any) -> set[str]:
    """What a node reads; branches see the values around them without listing them as inputs."""
    return {name for part in (node, *_inside(node)) for name in part.input} - {""}


def _constants(graph: Any) -> set[str]:
    """Values that no image changes: weights, constants, and what is computed of such alone."""
    known = {weight.name for weight in graph.initializer}
    for node in graph.node:
        if _values_read(node) <= known:
            known.update(node.output)
    return known


def _ancestors(nodes: list[Any], stem: Any) -> set[str]:
    """Values that the image goes through before the first convolution; the nodes are in order."""
    wanted = {stem.input[0]}
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= _values_read(node)
    return wanted


def _macs(node: Any, shapes: Mapping[str, Shape]) -> int:
    """Multiply-adds of one node: its outputs times the products that each of them sums."""
    outputs = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        return outputs * math.prod(shapes[node.input[1]][1:])
    return outputs * shapes[node.input[0]][-1]


def _kind(node: Any, shapes: Mapping[str, Shape], *, first: bool) -> LayerKind:
    if node.op_type != "Conv":
        return "linear"
    attributes = {attribute.name: attribute for attribute in node.attribute}
    return layer_kind(
        kernel_size=max(shapes[node.input[1]][2:]),
        stride=max(attributes["strides"].ints) if "strides" in attributes else 1,
        groups=attributes["group"].i if "group" in attributes else 1,
        side=max(shapes[node.output[0]][2:]),
        first=first,
    )


def _summed(pairs: Iterable[tuple[Any, int]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for key, value in pairs:
        total[key] += value
    return total


def _image_input(graph: Any, path: Path) -> Any:
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ProfileError(f"{path}: one input is needed, the image; its inputs are: {names}")
    return inputs[0]


def _image_shape(image: Any, path: Path, size: tuple[int, int]) -> Shape:
    """The shape of one image for the file: (1, C, H, W), or (1, H, W, 3) where channels stand last.

    A size that the file fixes stays; else (height, width) is ``size``.
    """
    dims = list(image.type.tensor_type.shape.dim)
    shape = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims]
    if len(shape) != 4:
        raise ProfileError(f"{path}: its input has {len(shape)} dimensions, images have 4")
    places = (1, 2) if shape[3] in (1, 3) and shape[1] not in (1, 3) else (2, 3)
    if min(size) < 1:
        raise ProfileError(f"an image's sides are at least 1 pixel, got {size[0]}×{size[1]}")
    shape[0] = 1
    for place, side in zip(places, size, strict=True):
        shape[place] = shape[place] or side
    if not all(shape):
        raise ProfileError(f"{path}: the number of channels of its input is not fixed")
    return tuple(shape)


def _run_for_shapes(
    model: Any, path: Path, image: Any, feed: Shape, names: Iterable[str]
) -> dict[str, Shape]:
    """The shapes of the values ``names`` and of all initializers, for an image of zeros of shape ``feed``.

    ``model`` gets these values as outputs.
    """
    import numpy as np
    import onnx
    import onnxruntime

    graph = model.graph
    shapes: dict[str, Shape] = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    shapes[image.name] = feed
    present = {value.name for value in graph.output}
    wanted = sorted(set(names) - shapes.keys() - {""})
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY + 1  # a failure is raised below
    # As it lies on disk: optimised, operators would be merged and values disappear.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    kind = onnx.helper.tensor_dtype_to_np_dtype(image.type.tensor_type.elem_type)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        values = session.run(wanted, {image.name: np.zeros(feed, kind)})
    except Exception as exc:  # onnxruntime has fifteen unrelated exception types
        reason = " ".join(str(exc).split())[:300]
        raise ProfileError(
            f"{path}: onnxruntime cannot run it on an image {'×'.join(map(str, feed))} ({reason})"
        ) from exc
    return shapes | {name: tuple(value.shape) for name, value in zip(wanted, values, strict=True)}
