"""Which parts of a network cost its int8 file the most: measured, one part in float at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from torch import Tensor, nn

from anas_zoo.core.progress import track
from anas_zoo.exporting.graph import INPUT, OUTPUT
from anas_zoo.exporting.onnx_export import float_graph
from anas_zoo.exporting.quantization import DEQUANTIZED, calibration_images, layer_of, quantize
from anas_zoo.exporting.runtimes import padded
from anas_zoo.exporting.target import Quantization, Target

IMAGES = 64  # of the calibration's; the order of parts needs no more
BATCH = 16
PRODUCTS = ("Conv", "Gemm", "MatMul")
ROUNDINGS = ("QuantizeLinear", "DequantizeLinear")
UNROUNDED = ".unrounded"  # what a value is called that a part in float reads
Floats = npt.NDArray[np.float32]


def sensitive_parts(
    network: nn.Module, target: Target, resolution: int, images: Tensor | None
) -> tuple[str, ...]:
    """The parts of ``network`` that cost its int8 file for ``target``, those that cost most first.

    Args:
        network: the network, as :func:`anas_zoo.exporting.export_onnx` takes it.
        target: an int8 one; its ``keep_float`` is in float throughout.
        resolution: side R of the images in pixels.
        images: preprocessed (N, 3, R, R) float32 of the training split.

    Raises as :func:`anas_zoo.exporting.quantization.quantize` does.
    """
    assert target.quantization is not None
    return rank_parts(float_graph(network, target, resolution), images, target.quantization)


def rank_parts(model: Any, images: Tensor | None, how: Quantization) -> tuple[str, ...]:
    """The parts of an ``onnx.ModelProto`` by how much its int8 logits come nearer with that part in float.

    A part is a block, or a layer that is in none (:func:`anas_zoo.exporting.quantization.layer_of`). Each is
    put into float alone in the graph that onnxruntime's quantizer makes, and the root mean square difference
    of the logits from those of ``model`` is measured. Parts that gain nothing are left out, and one at least,
    which stays in int8.
    """
    rounded = quantize(model, images, how)
    pixels = calibration_images(images, how)[:IMAGES]
    wanted = _logits(model, pixels)
    whole = _distance(_logits(rounded, pixels), wanted)
    gained = {
        part: whole - _distance(_logits(_with_part_in_float(rounded, part, model), pixels), wanted)
        for part in track(_quantized_parts(rounded), "which parts int8 costs most")
    }
    order = sorted((part for part in gained if gained[part] > 0), key=lambda part: -gained[part])
    return tuple(order[: len(gained) - 1])


def _quantized_parts(model: Any) -> list[str]:
    """The parts with weights or products that are rounded, in the order of the graph."""
    found = dict.fromkeys(
        layer_of(node.name)
        for node in model.graph.node
        if node.op_type in PRODUCTS and any(name.endswith(DEQUANTIZED) for name in node.input)
    )
    return list(found)


def _with_part_in_float(rounded: Any, part: str, model: Any) -> Any:
    """A copy of ``rounded`` whose nodes of ``part`` read the weights and values of the float ``model``."""
    changed = onnx.ModelProto()
    changed.CopyFrom(rounded)
    nodes = list(changed.graph.node)
    wanted: set[str] = set()
    for node in nodes:
        if layer_of(node.name) == part and node.op_type not in ROUNDINGS:
            for place, name in enumerate(node.input):
                if name.endswith(DEQUANTIZED):
                    node.input[place] = f"{name.removesuffix(DEQUANTIZED)}{UNROUNDED}"
                    wanted.add(node.input[place])
    content = [node.SerializeToString() for node in _unrounded(sorted(wanted), rounded, model)]
    content += [node.SerializeToString() for node in nodes]
    del changed.graph.node[:]  # the runtime sorts them
    changed.graph.node.extend(map(onnx.NodeProto.FromString, content))
    weights = {weight.name: weight for weight in model.graph.initializer}
    there = {weight.name for weight in changed.graph.initializer}
    there |= {name for node in changed.graph.node for name in node.output}  # biases come out of a rounding
    reads = {name for node in changed.graph.node for name in node.input}
    changed.graph.initializer.extend(weights[name] for name in sorted(reads - there) if name in weights)
    return changed


def _unrounded(names: Sequence[str], rounded: Any, model: Any) -> Iterator[Any]:
    """Nodes that make the values ``names``, each of the value that is rounded in ``rounded``.

    The quantizer drops a ReLU or a clip before a rounding that does the same; here it is put back.
    """
    before = {node.output[0]: node for node in model.graph.node}
    now = {node.output[0]: node.op_type for node in rounded.graph.node}
    for name in names:
        plain = name.removesuffix(UNROUNDED)
        made = before.get(plain)
        if made is None or made.op_type == now.get(plain):
            yield onnx.helper.make_node("Identity", [plain], [name], name=name)
            continue
        clip = onnx.NodeProto()
        clip.CopyFrom(made)
        clip.input[0], clip.output[0], clip.name = plain, name, name
        yield clip


def _logits(model: Any, pixels: Floats) -> Floats:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or None
    size = fixed or BATCH
    parts = [
        session.run([OUTPUT], {INPUT: padded(pixels[start : start + size], fixed)})[0]
        for start in range(0, len(pixels), size)
    ]
    return np.concatenate(parts)[: len(pixels)]


def _distance(got: Floats, wanted: Floats) -> float:
    return float(np.sqrt(np.square(got.astype(np.float64) - wanted).mean()))
