"""Latency of ONNX and LiteRT files, measured side by side so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.progress import Bar
from anas_zoo.entry import Latency
from anas_zoo.entry.manifest import LITERT
from anas_zoo.profiling.litert_session import LitertSession
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.profiling.session import open_session, runtime_version
from anas_zoo.profiling.timing import interleave


def measure_latency(
    files: Mapping[str, Path],
    *,
    threads: int = 1,
    repeats: int = 50,
    warmup: int = 10,
    batch_size: int = 1,
) -> dict[str, Latency]:
    """Wall-clock latency of each file on this machine's CPU, calls interleaved over the files.

    ``repeats`` calls of each file are measured after ``warmup`` others, ``batch_size`` images a call; the
    names in ``files`` are the result's keys.

    Raises :class:`ProfileError` for a number out of range, or a file with more than one free dimension;
    :class:`ExportError` for a file that onnxruntime, or LiteRT, cannot load.
    """
    numbers = {"threads": threads, "repeats": repeats, "batch_size": batch_size}
    for name, value in numbers.items():
        if value < 1:
            raise ProfileError(f"{name} must be at least 1, got {value}")
    if warmup < 0:
        raise ProfileError(f"warmup must not be negative, got {warmup}")

    opened = [_open(path, threads, batch_size) for path in files.values()]
    calls = [one.call for one in opened]
    for _ in range(warmup):
        for call in calls:
            call()
    with Bar("timing", repeats) as bar:
        times = interleave(calls, repeats, after=bar.advance)

    machine = describe_machine()
    reports = {}
    for name, one, row in zip(files, opened, times, strict=True):
        p25, p50, p75, p95 = (float(p) for p in np.percentile(row, [25, 50, 75, 95]))
        reports[name] = Latency(
            p50_ms=p50,
            p95_ms=p95,
            mean_ms=float(row.mean()),
            min_ms=float(row.min()),
            noise_pct=100.0 * (p75 - p25) / p50,
            repeats=repeats,
            warmup=warmup,
            threads=threads,
            batch_size=batch_size,
            input_shape=one.input_shape,
            runtime=one.runtime,
            provider=one.provider,
            machine=machine,
        )
    return reports


def prepare_call(path: Path, *, threads: int = 1, batch_size: int = 1) -> Callable[[], object]:
    """A function that runs the file once on random images; raises as :func:`measure_latency` does."""
    return _open(path, threads, batch_size).call


@dataclass(frozen=True)
class _Opened:
    """A file that is ready to be run on random images of one shape."""

    call: Callable[[], object]
    input_shape: tuple[int, ...]
    runtime: str
    provider: str


def _open(path: Path, threads: int, batch_size: int) -> _Opened:
    if path.suffix == LITERT:
        litert = LitertSession(path, threads=threads)
        shape = (batch_size, *litert.image_shape)
        images = _random_images(shape)
        return _Opened(lambda: litert.run(images), shape, litert.title, "XNNPACK")
    session = open_session(path, threads=threads)
    shape = _input_shape(session, path, batch_size)
    feed = {session.get_inputs()[0].name: _random_images(shape)}
    return _Opened(lambda: session.run(None, feed), shape, runtime_version(), session.get_providers()[0])


def _random_images(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    # Random values, since all zeros would let the activations take their fast paths.
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _input_shape(session: Any, path: Path, batch_size: int) -> tuple[int, ...]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise ProfileError(f"{path}: only files with one float32 input can be timed")
    batch, *rest = inputs[0].shape
    if isinstance(batch, int) and batch != batch_size:
        raise ProfileError(f"{path}: its batch is frozen at {batch}, it cannot be timed at {batch_size}")
    if not all(isinstance(side, int) for side in rest):
        raise ProfileError(f"{path}: its input shape {inputs[0].shape} leaves more than the batch open")
    return (batch_size, *rest)
