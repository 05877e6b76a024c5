"""Run an exported file in onnxruntime: plain numpy in and out, no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import EntryError, ExportError
from anas_zoo.profiling import open_session

__all__ = ["run_onnx", "run_session", "start_session"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def start_session(path: Path, *, threads: int = 1, optimize: bool = True) -> Any:
    """An onnxruntime session on the CPU; raises :class:`EntryError` that names a file that is no model."""
    try:
        return open_session(path, threads=threads, optimize=optimize)
    except ExportError as exc:
        raise EntryError(str(exc)) from exc


def run_session(session: Any, images: Floats | Bytes, what: str) -> Floats:
    """Logits (N, classes) of one batch, float32 or uint8 as the file takes it.

    ``what`` names the file in the :class:`EntryError` on failure.
    """
    try:
        logits: Floats = session.run(["logits"], {"image": images})[0]
    except Exception as exc:  # onnxruntime's exceptions have no base class of their own
        raise EntryError(f"{what}: onnxruntime cannot run it ({' '.join(str(exc).split())})") from exc
    return logits


def run_onnx(path: Path, images: Floats, *, optimize: bool = True) -> Floats:
    """Logits (N, classes) of preprocessed images (N, 3, R, R); raises :class:`EntryError`."""
    return run_session(start_session(path, optimize=optimize), images, path.name)
