"""Shapes inside an ONNX file, taken from a run of it: no inference of shapes to trust."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.outside import refuse_external_data
from anas_zoo.profiling.session import ERRORS_ONLY

__all__ = ["input_shape", "read_graph", "run_for_shapes"]

Shape = tuple[int, ...]


def read_graph(path: Path) -> Any:
    """The ``onnx.ModelProto`` of a file, its batch set free; raises :class:`ProfileError` when it is none."""
    import onnx

    if not path.is_file():
        raise ProfileError(f"{path}: no such ONNX file")
    refuse_external_data(path, ProfileError)
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception as exc:  # foreign bytes: what the parser raises depends on its implementation
        raise ProfileError(f"{path}: not a whole ONNX file ({' '.join(str(exc).split())})") from exc
    if not model.graph.node:  # an empty or foreign file often parses as an empty model
        raise ProfileError(f"{path}: not a whole ONNX file (it has no graph)")
    for value in (*model.graph.input, *model.graph.output):  # costs are told per image
        dims = value.type.tensor_type.shape.dim
        if len(dims) and dims[0].dim_value > 1:
            dims[0].dim_param = "batch"
    return model


def _image_input(graph: Any, path: Path) -> Any:
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise ProfileError(f"{path}: one input is needed, the image; its inputs are: {names}")
    return inputs[0]


def input_shape(graph: Any, path: Path, size: tuple[int, int]) -> Shape:
    """The shape of one image for the file: (1, C, H, W), or (1, H, W, 3) where channels stand last.

    Args:
        graph: the file's graph.
        path: its name in errors.
        size: (height, width) to take where the file takes any; a size that it fixes stays.

    Raises :class:`ProfileError` when the file does not take one image, or the size is none.
    """
    dims = list(_image_input(graph, path).type.tensor_type.shape.dim)
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


def run_for_shapes(model: Any, path: Path, feed: Shape, names: Iterable[str]) -> dict[str, Shape]:
    """The shapes of the values ``names`` and of all initializers, for an image of zeros of shape ``feed``.

    ``model`` gets these values as outputs. Raises :class:`ProfileError` when onnxruntime cannot run it.
    """
    import numpy as np
    import onnx
    import onnxruntime

    graph, image = model.graph, _image_input(model.graph, path)
    shapes: dict[str, Shape] = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    shapes[image.name] = feed
    present = {value.name for value in graph.output}
    wanted = sorted(set(names) - shapes.keys())
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY + 1  # what fails is said below
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
        told = "×".join(map(str, feed))
        raise ProfileError(f"{path}: onnxruntime cannot run it on an image {told} ({reason})") from exc
    return shapes | {name: tuple(value.shape) for name, value in zip(wanted, values, strict=True)}
