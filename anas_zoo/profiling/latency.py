"""Latency of ONNX files, measured side by side so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.progress import Bar
from anas_zoo.entry import Latency
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
    """Wall-clock latency of each ONNX file on this machine's CPU, calls interleaved over the files.

    ``repeats`` calls of each file are measured after ``warmup`` others, ``batch_size`` images a call; the
    names in ``files`` are the result's keys.

    Raises :class:`ProfileError` for a number out of range, or a file with more than one free dimension;
    :class:`ExportError` for a file that onnxruntime cannot load.
    """
    numbers = {"threads": threads, "repeats": repeats, "batch_size": batch_size}
    for name, value in numbers.items():
        if value < 1:
            raise ProfileError(f"{name} must be at least 1, got {value}")
    if warmup < 0:
        raise ProfileError(f"warmup must not be negative, got {warmup}")

    sessions = [open_session(path, threads=threads) for path in files.values()]
    shapes = [_input_shape(s, p, batch_size) for s, p in zip(sessions, files.values(), strict=True)]
    calls = [_call(session, shape) for session, shape in zip(sessions, shapes, strict=True)]
    for _ in range(warmup):
        for call in calls:
            call()
    with Bar("timing", repeats) as bar:
        times = interleave(calls, repeats, after=bar.advance)

    machine, runtime = describe_machine(), runtime_version()
    reports = {}
    for name, session, shape, row in zip(files, sessions, shapes, times, strict=True):
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
            input_shape=shape,
            runtime=runtime,
            provider=session.get_providers()[0],
            machine=machine,
        )
    return reports


def prepare_call(path: Path, *, threads: int = 1, batch_size: int = 1) -> Callable[[], object]:
    """A function that runs the file once on random images; raises as :func:`measure_latency` does."""
    session = open_session(path, threads=threads)
    return _call(session, _input_shape(session, path, batch_size))


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


def _call(session: Any, shape: tuple[int, ...]) -> Callable[[], object]:
    # Random values, since all zeros would let the activations take their fast paths.
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    feed = {session.get_inputs()[0].name: images}
    return lambda: session.run(None, feed)
