"""What an exported file must look like, checked on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from anas_zoo.core.errors import ExportError, InterfaceError, NonFiniteError
from anas_zoo.core.extras import extra_needed
from anas_zoo.exporting.graph import BATCH, INPUT, OUTPUT
from anas_zoo.exporting.litert import FREE, IDENTIFIER
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


@dataclass(frozen=True)
class Interface:
    """What one image and its logits are in a file.

    Attributes:
        image: sizes of the input without the batch; of a file that takes raw images the names of free ones.
        classes: logits of an image.
    """

    image: tuple[int | str, ...]
    classes: int


def check_file(path: Path, target: Target, *, name: Path | None = None) -> Interface:
    """Read an exported file and check it against ``target``.

    ``name`` is what errors call the file, for one that is checked before it has its final name.
    Raises :class:`ExportError` in one line when the file is none, or with every structural problem at once:
    :class:`InterfaceError` when inputs or outputs are among them, :class:`NonFiniteError` when weights are.
    """
    name = name or path
    if target.runtime == "litert":
        return check_litert(path, name)
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
    image, logits = (
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim][1:]
        for value in (model.graph.input[0], model.graph.output[0])
    )
    return Interface(tuple(image), int(logits[0]))


@extra_needed()
def check_litert(path: Path, name: Path) -> Interface:
    """The same of a LiteRT file. Raises likewise.

    And :class:`anas_zoo.core.extras.MissingPackageError` without the package ai-edge-litert.
    """
    from ai_edge_litert import schema_py_generated as schema

    if not path.is_file():
        raise ExportError(f"{name}: no such LiteRT file")
    content = path.read_bytes()
    try:
        if content[4:8] != IDENTIFIER:
            raise ValueError("it does not begin as one")
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        (graph,) = model.subgraphs
        ends = {
            kind: [graph.tensors[number] for number in numbers]
            for kind, numbers in (("input", graph.inputs), ("output", graph.outputs))
        }
        weights = [(one.name.decode(), one.type, model.buffers[one.buffer].data) for one in graph.tensors]
    except Exception as exc:  # damaged bytes fail in as many ways as they can be read
        raise ExportError(f"{name}: not a whole LiteRT file ({' '.join(str(exc).split())[:200]})") from exc
    problems = []
    for kind, wanted, dimensions in (("input", INPUT, 4), ("output", OUTPUT, 2)):
        found = ends[kind]
        names = [tensor.name.decode() for tensor in found]
        signature = [size for one in found if one.shapeSignature is not None for size in one.shapeSignature]
        if names != [wanted]:
            problems.append(f"its {kind}s are {names}, needed is {[wanted]}")
        elif found[0].type != schema.TensorType.FLOAT32:
            problems.append(f"its {kind} is not float32")
        elif len(signature) != dimensions or signature[0] != FREE or min(signature[1:]) < 1:
            problems.append(f"its {kind} has the shape {signature}, only the batch ({FREE}) may be free")
    if problems:
        raise InterfaceError(f"{name}: not a file for LiteRT: {'; '.join(problems)}")
    for weight, kind, data in weights:
        values = b"" if data is None or kind != schema.TensorType.FLOAT32 else bytes(data)
        if not np.isfinite(np.frombuffer(values[: len(values) // 4 * 4], np.float32)).all():
            raise NonFiniteError(f"{name}: its weight {weight} has values that are not finite")
    (image,), (logits,) = ends["input"], ends["output"]
    return Interface(tuple(map(int, image.shapeSignature[1:])), int(logits.shapeSignature[1]))


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
