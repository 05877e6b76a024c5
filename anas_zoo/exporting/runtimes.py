"""What runs an exported file for validation: its own runtime where that is installed, or a stand-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ExportError
from anas_zoo.core.outside import refuse_external_data
from anas_zoo.exporting.graph import INPUT, OUTPUT
from anas_zoo.exporting.target import Target, list_targets
from anas_zoo.profiling.litert_session import LitertSession
from anas_zoo.profiling.machine import CPU, XNNPACK, lacking_of
from anas_zoo.profiling.session import open_session, runtime_version

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Runner:
    """An opened file.

    Attributes:
        title: name and version of what runs it.
        not_run_here: why this is not the runtime that the file is for; None when it is.
        run: (N, ...) images -> (N, classes) logits.
        open_plain: opens the file once more, without onnxruntime's graph optimizations; None for a runtime
            that has none to switch off.
    """

    title: str
    not_run_here: str | None
    run: Callable[[npt.NDArray[Any]], Floats]
    open_plain: Callable[[], Callable[[npt.NDArray[Any]], Floats]] | None = None


def open_runner(path: Path, target: Target, *, threads: int = 1) -> Runner | str:
    """Open ``path`` with the runtime of ``target``, or else with its stand-in.

    Returns why not, in words, when neither is on this machine. Raises :class:`ExportError` when the runtime
    is there and cannot load the file.
    """
    lacking = _lacking(target)
    if lacking is None:
        if target.runtime == "openvino":
            return _openvino(path, threads)
        if target.runtime == "litert":
            return _litert(path, threads)
        return _onnxruntime(path, target.provider, threads, None)
    if target.stand_in_provider is None:
        return lacking
    return _onnxruntime(path, target.stand_in_provider, threads, lacking)


def padded(pixels: npt.NDArray[Any], count: int | None) -> npt.NDArray[Any]:
    """Repeat the last image until their number can be divided by ``count``, a file's fixed batch, if any."""
    lacks = 0 if count is None else -len(pixels) % count
    return np.concatenate([pixels, np.repeat(pixels[-1:], lacks, axis=0)]) if lacks else pixels


def is_for_the_cpu(target: Target) -> bool:
    """Whether files of ``target`` take prepared images and run on a CPU, in onnxruntime or LiteRT.

    Those are the ones whose latency this machine can measure.
    """
    providers = {"onnxruntime": CPU, "litert": XNNPACK}
    return providers.get(target.runtime) == target.provider and target.input == "float32-nchw"


def targets_for_the_cpu(*providers: str) -> list[str]:
    """Names of the targets that come with the package whose files a CPU runs, by one of ``providers``."""
    known = map(Target.load, list_targets())
    return [one.name for one in known if is_for_the_cpu(one) and one.provider in providers]


def is_timed_here(target: Target) -> bool:
    """Whether this machine can measure the latency of files of ``target``, one image a call."""
    return is_for_the_cpu(target) and target.batch in ("dynamic", 1) and _lacking(target) is None


def refuse_other_processors(target: Target) -> None:
    """Raise :class:`ExportError` where files of ``target`` are wrong on this machine's processor."""
    if lacking_of(target.processor) is not None:
        raise ExportError(
            f"files for {target.name} need a processor with VNNI or dotprod, and this one has neither; "
            "export on one that has, or take ort-cpu-int8"
        )


def _lacking(target: Target) -> str | None:
    """What this machine lacks to run files of ``target`` as they are deployed; None when nothing."""
    import onnxruntime

    if (reason := lacking_of(target.processor)) is not None:
        return reason
    if target.runtime == "openvino":
        try:
            import openvino  # noqa: F401
        except ImportError:
            return "the package openvino is not installed"
        return None
    if target.runtime == "litert":
        try:
            import ai_edge_litert  # noqa: F401
        except ImportError:
            return "the package ai-edge-litert is not installed"
        return None
    if target.runtime == "onnxruntime-web":
        return "onnxruntime-web runs in a browser; the web client checks it there"
    if target.provider not in onnxruntime.get_available_providers():
        return f"this onnxruntime has no {target.provider}"
    return None


def _onnxruntime(path: Path, provider: str, threads: int, not_run_here: str | None) -> Runner:
    def opened(optimize: bool) -> Callable[[npt.NDArray[Any]], Floats]:
        session = open_session(path, threads=threads, provider=provider, optimize=optimize)

        def run(images: npt.NDArray[Any]) -> Floats:
            logits: Floats = session.run([OUTPUT], {INPUT: images})[0]
            return logits

        return run

    title = f"{runtime_version()}, {provider}"
    return Runner(title, not_run_here, opened(True), lambda: opened(False))


@cache
def _openvino_core() -> Any:
    """The one that this process has, for all its life.

    Each installs a stack for signal handlers, and frees it at its end. Of two that do not end in the reverse
    order of their beginnings, the second puts back the freed one of the first, and the next signal with a
    handler, as of Ctrl-C, ends the process with a segmentation fault.
    """
    import openvino

    return openvino.Core()


def _openvino(path: Path, threads: int) -> Runner:
    import openvino

    refuse_external_data(path, ExportError)
    try:
        # Other processors compute in half precision by default, which is not what the file says.
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        compiled = _openvino_core().compile_model(str(path), "CPU", options)
    except RuntimeError as exc:
        raise ExportError(f"{path}: OpenVINO cannot load it ({' '.join(str(exc).split())[:300]})") from exc

    def run(images: npt.NDArray[Any]) -> Floats:
        logits: Floats = compiled([images])[OUTPUT]
        return logits

    return Runner(f"openvino {openvino.__version__.split('-')[0]}", None, run)


def _litert(path: Path, threads: int) -> Runner:
    session = LitertSession(path, threads=threads)
    return Runner(f"{session.title}, XNNPACK", None, session.run)
