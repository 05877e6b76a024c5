"""What an exported file must look like, checked on the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from anas_zoo.errors import ExportError
from anas_zoo.export.target import Target

__all__ = ["BATCH", "INPUT", "OUTPUT", "check_file", "structural_problems"]

INPUT, OUTPUT = "image", "logits"
BATCH = "batch"  # name of the only free dimension


def check_file(path: Path, target: Target, *, name: Path | None = None) -> Any:
    """Read an ONNX file and check it against ``target``; returns the ``onnx.ModelProto``.

    ``name`` is what errors call the file, for one that is checked before it has its final name.
    Raises :class:`ExportError` in one line when the file is none, or with every structural problem at once.
    """
    name = name or path
    if not path.is_file():
        raise ExportError(f"{name}: no such ONNX file")
    try:
        # Left outside, external data shows as such below instead of being followed to a foreign path.
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception as exc:  # foreign bytes: what the parser raises depends on its implementation
        raise ExportError(f"{name}: not a whole ONNX file ({' '.join(str(exc).split())})") from exc
    problems = structural_problems(model, target)
    if problems:
        raise ExportError(f"{name}: not a file for {target.name}: " + "; ".join(problems))
    return model


def structural_problems(model: Any, target: Target) -> list[str]:
    """Every way in which an ``onnx.ModelProto`` is not what ``target`` asks for, each in words."""
    if not model.graph.node:  # an empty or foreign file often parses as an empty model
        return ["it has no graph"]
    problems = [
        *_opset_problems(model, target),
        *_interface_problems("input", INPUT, 4, _real_inputs(model.graph)),
        *_interface_problems("output", OUTPUT, 2, list(model.graph.output)),
        *_weight_problems(model.graph),
        *_trace_problems(model),
    ]
    if not problems:  # the checker reads weights, and would follow external data
        try:
            onnx.checker.check_model(model, full_check=True)  # includes strict shape inference
        except Exception as exc:  # the checker's and the shape inference's own types
            problems.append(f"onnx's checker refuses it ({' '.join(str(exc).split())[:300]})")
    return problems


def _real_inputs(graph: Any) -> list[Any]:
    weights = {weight.name for weight in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def _opset_problems(model: Any, target: Target) -> Iterator[str]:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if opsets != {"ai.onnx": target.opset}:
        found = ", ".join(f"{domain} {version}" for domain, version in sorted(opsets.items()))
        yield f"its operator sets are {found or 'none'}, needed is ai.onnx {target.opset} alone"


def _interface_problems(kind: str, name: str, rank: int, values: list[Any]) -> Iterator[str]:
    names = [value.name for value in values]
    if names != [name]:
        yield f"its {kind}s are {names}, needed is {[name]}"
        return
    tensor = values[0].type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        yield f"its {kind} is not float32"
    dims = list(tensor.shape.dim)
    shape = [dim.dim_param or dim.dim_value for dim in dims]
    if len(dims) != rank:
        yield f"its {kind} has the shape {shape}, needed are {rank} dimensions"
    elif shape[0] != BATCH:
        yield f"the batch of its {kind} is {shape[0]!r}, needed is the free dimension {BATCH!r}"
    elif not all(isinstance(side, int) and side > 0 for side in shape[1:]):
        yield f"its {kind} has the shape {shape}, only the batch may be free"


def _weight_problems(graph: Any) -> Iterator[str]:
    weights = list(graph.initializer)
    for node in graph.node:  # constants can be nodes as well
        weights += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    outside = [w.name for w in weights if w.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        yield f"{len(outside)} of its weights lie outside the file ({outside[0]}, ...)"
        return
    for weight in weights:
        if weight.data_type in (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE):
            kind = onnx.TensorProto.DataType.Name(weight.data_type).lower()
            yield f"its weight {weight.name} is {kind}, needed is float32"
        elif weight.data_type == onnx.TensorProto.FLOAT:
            try:
                finite = bool(np.isfinite(onnx.numpy_helper.to_array(weight)).all())
            except ValueError:
                yield f"its weight {weight.name} is damaged"
                continue
            if not finite:
                yield f"its weight {weight.name} has values that are not finite"


def _trace_problems(model: Any) -> Iterator[str]:
    """Exporters like to leave stack traces, and with them paths of the machine they ran on."""
    graph = model.graph
    parts = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    if model.doc_string or any(p.doc_string or p.metadata_props for p in parts):
        yield "it carries doc strings or node metadata of the exporter"
