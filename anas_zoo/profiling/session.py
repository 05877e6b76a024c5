"""Opening an ONNX file with onnxruntime, or as a graph to look at. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anas_zoo.core.errors import AnasError, ExportError
from anas_zoo.core.outside import refuse_external_data

ERRORS_ONLY = 3  # onnxruntime's severity; its warnings are about its own optimisations


def open_session(
    path: Path, *, threads: int = 1, provider: str = "CPUExecutionProvider", optimize: bool = True
) -> Any:
    """An ``onnxruntime.InferenceSession`` on the file, quiet, with exactly that many ``threads``.

    With ``optimize`` onnxruntime rewrites the graph as it does by default, without it runs it as written.

    Raises :class:`ExportError` in one line for a file that is missing, not a whole ONNX file, or has weights
    outside of it, and when this onnxruntime lacks the ``provider``.
    """
    import onnxruntime

    if not path.is_file():
        raise ExportError(f"{path}: no such ONNX file")
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ExportError(
            f"this onnxruntime has no {provider}; it has: {', '.join(available)}; "
            "choose another target or install the onnxruntime package that brings it"
        )
    refuse_external_data(path, ExportError)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Threads that spin after a run would steal the cores from the next session that is measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        # Without its fallback, which tries a damaged file twice and prints to stdout.
        session = onnxruntime.InferenceSession(str(path), options, providers=[provider], enable_fallback=0)
    except Exception as exc:  # onnxruntime has fifteen unrelated exception types for a bad file
        reason = " ".join(str(exc).split())
        raise ExportError(f"{path}: onnxruntime cannot load it ({reason})") from exc
    if session.get_providers()[0] != provider:  # onnxruntime falls back to the CPU without an error
        raise ExportError(f"{path}: onnxruntime could not start {provider} on this machine")
    return session


def read_graph(path: Path, error: type[AnasError] = ExportError, *, name: Path | None = None) -> Any:
    """The ``onnx.ModelProto`` of a file, which errors call ``name``.

    Raises ``error`` in one line when it is not a whole ONNX file, or has weights outside of it.
    """
    import onnx

    name = name or path
    if not path.is_file():
        raise error(f"{name}: no such ONNX file")
    refuse_external_data(path, error)
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except Exception as exc:  # foreign bytes: what the parser raises depends on its implementation
        raise error(f"{name}: not a whole ONNX file ({' '.join(str(exc).split())})") from exc
    if not model.graph.node:  # an empty or foreign file often parses as an empty model
        raise error(f"{name}: not a whole ONNX file (it has no graph)")
    return model


def runtime_version() -> str:
    """Name and version of the runtime, for reports."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"
