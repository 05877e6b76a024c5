"""What an exported file must look like, checked on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from anas_zoo.core.errors import ExportError, InterfaceError, NonFiniteError
from anas_zoo.exporting.graph import BATCH, INPUT, OUTPUT
from anas_zoo.exporting.target import Target
from anas_zoo.profiling.session import read_graph

FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
)
WEIGHT_TYPES = {
    "fp32": {onnx.TensorProto.FLOAT},
    "fp16": {onnx.TensorProto.FLOAT16},
    "int8": {onnx.TensorProto.FLOAT},  # what stays in float, and the scales
}


def check_file(path: Path, target: Target, *, name: Path | None = None) -> Any:
    """Read an ONNX file and check it against ``target``; returns the ``onnx.ModelProto``.

    ``name`` is what errors call the file, for one that is checked before it has its final name.
    Raises :class:`ExportError` in one line when the file is none, or with every structural problem at once:
    :class:`InterfaceError` when inputs or outputs are among them, :class:`NonFiniteError` when weights are.
    """
    name = name or path
    model = read_graph(path, name=name)
    problems = {kind: texts for kind, texts in _problems(model, target).items() if texts}
    if problems:
        kind = next((kind for kind in (InterfaceError, NonFiniteError) if kind in problems), ExportError)
        listed = "; ".join(text for texts in problems.values() for text in texts)
        raise kind(f"{name}: not a file for {target.name}: {listed}")
    try:
        onnx.checker.check_model(model, full_check=True)  # includes strict shape inference
    except Exception as exc:  # the checker's and the shape inference's own types
        raise ExportError(f"{name}: onnx's checker refuses it ({' '.join(str(exc).split())[:300]})") from exc
    return model


def _problems(model: Any, target: Target) -> dict[type[ExportError], list[str]]:
    """Every way in which an ``onnx.ModelProto`` is not what ``target`` asks for, by kind of error."""
    weights = list(model.graph.initializer)
    return {
        InterfaceError: [
            *_interface_problems("input", INPUT, _image_shape(target), list(model.graph.input)),
            *_interface_problems("output", OUTPUT, (_batch(target), None), list(model.graph.output)),
        ],
        NonFiniteError: [
            f"its weight {weight.name} has values that are not finite"
            for weight in weights
            if weight.data_type in FLOATS and not _is_finite(weight)
        ],
        ExportError: [
            *_opset_problems(model, target),
            *_weight_type_problems(weights, target),
        ],
    }


def _opset_problems(model: Any, target: Target) -> Iterator[str]:
    opsets = {str(entry.domain or "ai.onnx"): entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": target.opset}:
        found = ", ".join(f"{domain} {version}" for domain, version in sorted(opsets.items()))
        yield f"its operator sets are {found or 'none'}, needed is ai.onnx {target.opset} alone"


def _batch(target: Target) -> str | int:
    return BATCH if target.batch == "dynamic" else target.batch


def _image_shape(target: Target) -> tuple[str | int | None, ...]:
    """Names of free dimensions, fixed sizes, and None for any fixed size."""
    if target.input == "uint8-nhwc":
        return (_batch(target), "height", "width", 3)
    return (_batch(target), None, None, None)


def _interface_problems(
    kind: str, name: str, wanted: tuple[str | int | None, ...], values: list[Any]
) -> Iterator[str]:
    names = [value.name for value in values]
    if names != [name]:
        yield f"its {kind}s are {names}, needed is {[name]}"
        return
    tensor = values[0].type.tensor_type
    raw = wanted[-1] == 3
    if tensor.elem_type != (onnx.TensorProto.UINT8 if raw else onnx.TensorProto.FLOAT):
        yield f"its {kind} is not {'uint8' if raw else 'float32'}"
    dims = list(tensor.shape.dim)
    shape = [dim.dim_param or dim.dim_value for dim in dims]
    if len(dims) != len(wanted):
        yield f"its {kind} has the shape {shape}, needed are {len(wanted)} dimensions"
    elif shape[0] != wanted[0]:
        free = f"the free dimension {BATCH!r}" if wanted[0] == BATCH else str(wanted[0])
        yield f"the batch of its {kind} is {shape[0]!r}, needed is {free}"
    elif any(w is None and not (isinstance(s, int) and s > 0) for s, w in zip(shape, wanted, strict=True)):
        yield f"its {kind} has the shape {shape}, only the batch may be free"
    elif any(w is not None and s != w for s, w in zip(shape, wanted, strict=True)):
        yield f"its {kind} has the shape {shape}, needed is {list(wanted)}"


def _is_finite(weight: Any) -> bool:
    try:
        return bool(np.isfinite(onnx.numpy_helper.to_array(weight).astype(np.float64)).all())
    except ValueError:  # damaged
        return False


def _weight_type_problems(weights: list[Any], target: Target) -> Iterator[str]:
    allowed = WEIGHT_TYPES[target.precision]
    if target.input == "uint8-nhwc":  # resizing as Pillow does needs more precision than the network
        allowed = allowed | {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}
    for weight in weights:
        if weight.data_type in FLOATS and weight.data_type not in allowed:
            kind, needed = (
                onnx.TensorProto.DataType.Name(t).lower() for t in (weight.data_type, min(allowed))
            )
            yield f"its weight {weight.name} is {kind}, needed is {needed}"
