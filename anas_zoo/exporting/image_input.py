"""An exported network that prepares its images itself: uint8 pixels of any size in, logits out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx

from anas_zoo.core.errors import ExportError
from anas_zoo.core.geometry import REFERENCE_CROP, REFERENCE_RESIZE, cubic_matrix, resized_short_side
from anas_zoo.data import Preprocessing
from anas_zoo.exporting.graph import INPUT
from anas_zoo.exporting.graph_building import FLOAT, GraphPiece
from anas_zoo.exporting.image_resizing import FILTERS, resize_and_crop

__all__ = ["with_image_input"]

OLDEST_OPSET = 17
HEIGHT, WIDTH = "height", "width"  # names of the free dimensions of an image


def with_image_input(model: Any, preprocessing: Preprocessing, resolution: int) -> Any:
    """The network of ``model`` with ``preprocessing`` in front of it, as a new ``onnx.ModelProto``.

    The new input is called "image" as well: (batch, height, width, 3) uint8, RGB, of any size, all images of
    a batch having the same. Everything that Pillow and timm do to it is then done by standard operators; how
    closely is measured in docs/preprocessing.md. The same arguments give the same bytes.

    Args:
        model: its input "image" is (batch, 3, R, R) float32, its operator set at least 17.
        preprocessing: what the network was measured with; bilinear or bicubic.
        resolution: R.

    Raises :class:`ExportError` for a model with another input or of an older operator set, and for filters
    that no operator computes as Pillow does.
    """
    if preprocessing.interpolation not in FILTERS:
        raise ExportError(
            f"an image input cannot resize with {preprocessing.interpolation!r} as Pillow does; it can with: "
            f"{', '.join(FILTERS)}"
        )
    _refuse_old(model)
    inner = _network_input(model.graph, resolution)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    piece = GraphPiece(_free_prefix(graph))
    prepared = _prepare(piece, preprocessing, resolution)
    _rename(graph, INPUT, prepared)
    network = list(graph.node)
    del graph.node[:]
    graph.node.extend([*piece.nodes, *network])
    graph.initializer.extend(piece.constants)
    batch = inner.type.tensor_type.shape.dim[0]
    image = onnx.helper.make_tensor_value_info(
        INPUT, onnx.TensorProto.UINT8, [batch.dim_param or batch.dim_value, HEIGHT, WIDTH, 3]
    )
    others = [value for value in graph.input if value.name != prepared]  # weights may be listed as well
    del graph.input[:]
    graph.input.extend([image, *others])
    return changed


def _prepare(graph: GraphPiece, preprocessing: Preprocessing, resolution: int) -> str:
    short_side, side = resized_short_side(resolution, preprocessing.crop_pct), resolution
    if preprocessing.mode == "reference":
        short_side, side = REFERENCE_RESIZE, REFERENCE_CROP
    pixels = resize_and_crop(
        graph,
        INPUT,
        short_side=short_side,
        side=side,
        interpolation=preprocessing.interpolation,
    )
    # One after the other, as torchvision does, so that the results are the same to the last bit.
    pixels = graph("Div", pixels, graph.constant(255.0, FLOAT))
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (preprocessing.mean, preprocessing.std))
    pixels = graph("Div", graph("Sub", pixels, graph.constant(mean, FLOAT)), graph.constant(std, FLOAT))
    if side == resolution:
        return pixels
    # A product with 224 · R weights is ten times as fast as onnxruntime's cubic Resize, and closer to torch.
    weights = graph.constant(cubic_matrix(side, resolution), FLOAT)
    rows = graph("MatMul", weights, pixels)
    return graph("MatMul", rows, graph("Transpose", weights, perm=[1, 0]))


def _refuse_old(model: Any) -> None:
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        raise ExportError(f"an image input needs opset {OLDEST_OPSET} or newer, the file has {opset}")


def _network_input(graph: Any, resolution: int) -> Any:
    """The input's declaration, when it is the one that preprocessing feeds."""
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if [value.name for value in inputs] != [INPUT]:
        raise ExportError(f"its inputs are {[value.name for value in inputs]}, needed is {[INPUT]}")
    tensor = inputs[0].type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
    if tensor.elem_type == onnx.TensorProto.UINT8:
        raise ExportError(f"its input {INPUT!r} takes uint8 images already")
    if tensor.elem_type != onnx.TensorProto.FLOAT or shape[1:] != [3, resolution, resolution]:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ExportError(
            f"its input {INPUT!r} is {kind} {shape}, needed is float (batch, 3, {resolution}, {resolution})"
        )
    return inputs[0]


def _graphs(graph: Any) -> Iterator[Any]:
    """``graph`` and those inside its nodes, which see its values."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inside in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inside)


def _free_prefix(graph: Any) -> str:
    taken = {
        name
        for part in _graphs(graph)
        for name in (
            *(value.name for value in (*part.input, *part.output, *part.initializer, *part.node)),
            *(output for node in part.node for output in node.output),
        )
    }
    prefix = "image_input."
    while any(name.startswith(prefix) for name in taken):
        prefix = "_" + prefix
    return prefix


def _rename(graph: Any, old: str, new: str) -> None:
    for part in _graphs(graph):
        for value in (*part.input, *part.output, *part.value_info):
            if value.name == old:
                value.name = new
        for node in part.node:
            for place, name in enumerate(node.input):
                if name == old:
                    node.input[place] = new
