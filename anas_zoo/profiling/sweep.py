"""Latency of many ONNX files on this machine, made comparable by yardsticks (profiling/timing.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.progress import Bar
from anas_zoo.profiling.latency import prepare_call
from anas_zoo.profiling.timing import PASSES, Sweep, clock_of, groups_in, sweep, time_in_turn

YARDSTICKS = (0.25, 0.75)  # quantiles of the measured subnets' multiply-adds
COPIES = 5  # of a yardstick that is timed alone, so that it meets the caches as cold as in a sweep
AGAIN_SECONDS = 2.0


def measure_sweep(
    files: Sequence[Path],
    *,
    yardsticks: Sequence[int],
    rng: np.random.Generator,
    threads: int = 1,
    repeats: int = 60,
) -> Sweep:
    """Latency of each of ``files``, one image a call; see :func:`anas_zoo.profiling.timing.sweep`.

    ``yardsticks`` are the files that every group times too; ``repeats`` are measured calls of each, over all
    passes.
    Raises as :func:`check_numbers`, and :class:`ExportError` for a file that onnxruntime cannot load.
    """
    check_numbers(threads, repeats)
    with Bar("timing", groups_in(len(files), yardsticks)) as bar:
        return sweep(
            lambda number: prepare_call(files[number], threads=threads),
            len(files),
            yardsticks=yardsticks,
            rng=rng,
            clock=clock_of(threads),
            repeats=repeats,
            after=bar.advance,
        )


def time_again(files: Sequence[Path], *, threads: int = 1) -> list[float]:
    """Milliseconds of the yardsticks' ``files`` now, in some seconds; raises as :func:`measure_sweep`."""
    copies = [prepare_call(file, threads=threads) for file in files for _ in range(COPIES)]
    clock = clock_of(threads)
    round_ms = float(time_in_turn(copies, 1, clock).sum())
    rounds = int(np.clip(1000 * AGAIN_SECONDS / round_ms, 5, 1000))
    found = time_in_turn(copies, rounds, clock).reshape(len(files), COPIES)
    return [float(np.median(of_file)) for of_file in found]


def yardsticks_among(macs: npt.NDArray[np.int64]) -> list[int]:
    """A small and a large one of the measured subnets, given their multiply-adds (N,), as indices.

    Every group of a sweep times them, and a saved model finds them again by this rule.
    """
    by_cost = np.argsort(macs, kind="stable")
    return list(dict.fromkeys(int(by_cost[int(q * (len(macs) - 1))]) for q in YARDSTICKS))


def check_numbers(threads: int, repeats: int) -> None:
    """Raise :class:`ProfileError` for numbers that :func:`measure_sweep` cannot work with."""
    if threads < 1:
        raise ProfileError(f"threads must be at least 1, got {threads}")
    if repeats < 2 * PASSES:
        raise ProfileError(f"repeats must be at least {2 * PASSES}, got {repeats}")
