"""An exported network that prepares its images itself: uint8 pixels of any size in, logits out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from PIL import Image
from torch import Tensor

from anas_zoo.core.errors import ExportError
from anas_zoo.core.geometry import cubic_matrix
from anas_zoo.data import eval_transform
from anas_zoo.entry import Preprocessing
from anas_zoo.exporting.graph import INPUT
from anas_zoo.exporting.image_resizing import FILTERS, FLOAT, GraphPiece, resize_and_crop

# Neither square nor a multiple of the input, so that resize and crop have work to do.
RAW_HEIGHT, RAW_WIDTH = 1.3, 1.7


def with_image_input(model: Any, preprocessing: Preprocessing, resolution: int) -> Any:
    """The network of ``model`` with ``preprocessing`` in front of it, as a new ``onnx.ModelProto``.

    The new input is called "image" as well: (batch, height, width, 3) uint8, RGB, of any size, all images of
    a batch having the same. Everything that Pillow and timm do to it is then done by standard operators; how
    closely is measured in docs/preprocessing.md. The same arguments give the same bytes.

    Args:
        model: a graph of :func:`anas_zoo.exporting.graph.write_graph`, quantized or not.
        preprocessing: what the network was measured with; bilinear or bicubic.
        resolution: R, the network's.

    Raises :class:`ExportError` for filters that no operator computes as Pillow does.
    """
    if preprocessing.interpolation not in FILTERS:
        raise ExportError(
            f"an image input cannot resize with {preprocessing.interpolation!r} as Pillow does; it can with: "
            f"{', '.join(FILTERS)}"
        )
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    piece = GraphPiece("image_input.")
    prepared = _prepare(piece, preprocessing, resolution)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == INPUT:
                node.input[place] = prepared
    network = list(graph.node)
    del graph.node[:]
    graph.node.extend([*piece.nodes, *network])
    graph.initializer.extend(piece.constants)
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    shape = [batch.dim_param or batch.dim_value, "height", "width", 3]
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, shape))
    return changed


def _prepare(graph: GraphPiece, preprocessing: Preprocessing, resolution: int) -> str:
    short_side, side = preprocessing.sides(resolution)
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


def raw_and_reference(images: Tensor, preprocessing: Preprocessing) -> tuple[npt.NDArray[np.uint8], Tensor]:
    """Raw images (N, height, width, 3) uint8, and what ``preprocessing`` makes of them: (N, 3, R, R) float32.

    Args:
        images: preprocessed (N, 3, R, R) float32, such as an entry's golden ones.
        preprocessing: how they were made.
    """
    side = images.shape[-1]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    scaled = ((images.detach().cpu() * std + mean) * 255.0).round().clamp(0, 255).to(torch.uint8)
    size = (round(side * RAW_WIDTH) + 1, round(side * RAW_HEIGHT))
    pictures = [
        Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
        for pixels in scaled.permute(0, 2, 3, 1).numpy()
    ]
    transform = eval_transform(preprocessing, side)
    reference = torch.stack([transform(picture) for picture in pictures])
    return np.stack([np.asarray(picture) for picture in pictures]), reference
