"""Latency of many ONNX files, a few open at a time, made comparable by yardsticks that all groups time.

A pass deals the files anew into groups. The files of a group are called in turn, round after round, together
with the *yardsticks*, two of the files. What those took shows how fast the machine was meanwhile, and is
divided out of the group's times. A file's figure is the median of its passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.progress import Bar
from anas_zoo.profiling.latency import clock_of, interleave, prepare_call

Values = npt.NDArray[np.float64]

GROUP = 8  # files open at a time beside the yardsticks: some hundred megabytes
PASSES = 4
WARMUP = 2  # the first call allocates, the second still meets cold memory
YARDSTICKS = (0.25, 0.75)  # quantiles of the measured subnets' multiply-adds
COPIES = 5  # of a yardstick that is timed alone, so that it meets the caches as cold as in a sweep
AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Sweep:
    """What was measured.

    Attributes:
        ms: one call of each file, in their order, (files,).
        level_pct: half of the middle 95 % of the groups' speeds: how much faster or slower the machine itself
            was from one group to the next. All milliseconds together are uncertain by that.
        noise_pct: half of the distance between a file's passes, the median over the files.
    """

    ms: Values
    level_pct: float
    noise_pct: float


def measure_sweep(
    files: Sequence[Path],
    *,
    yardsticks: Sequence[int],
    rng: np.random.Generator,
    threads: int = 1,
    repeats: int = 60,
) -> Sweep:
    """Latency of each of ``files``, one image a call; see the module's docstring.

    ``yardsticks`` are the files that every group times too; ``repeats`` are measured calls of each, over all
    passes.
    Raises as :func:`check_numbers`, and :class:`ExportError` for a file that onnxruntime cannot load.
    """
    check_numbers(threads, repeats)
    logs: list[list[float]] = [[] for _ in files]  # of milliseconds, the group's speed divided out
    speeds: list[float] = []
    others = [index for index in range(len(files)) if index not in yardsticks]
    starts = range(0, max(1, len(others)), GROUP)
    with Bar("timing", PASSES * len(starts)) as bar:
        for _ in range(PASSES):
            dealt = rng.permutation(np.asarray(others, dtype=np.int64)).tolist()
            for start in starts:
                members = [*yardsticks, *dealt[start : start + GROUP]]
                found = np.log(_time([files[index] for index in members], threads, -(-repeats // PASSES)))
                speeds.append(float(found[: len(yardsticks)].mean()))
                for index, log in zip(members, found, strict=True):
                    logs[index].append(float(log) - speeds[-1])
                bar.advance()
    low, high = np.percentile(speeds, [2.5, 97.5])
    passes = [np.ptp(of_file) / 2 for of_file in logs]
    return Sweep(
        np.exp([np.median(of_file) + np.median(speeds) for of_file in logs]),
        level_pct=100.0 * float(np.expm1((high - low) / 2)),
        noise_pct=100.0 * float(np.expm1(np.median(passes))),
    )


def time_again(files: Sequence[Path], *, threads: int = 1) -> list[float]:
    """Milliseconds of the yardsticks' ``files`` now, in some seconds; raises as :func:`measure_sweep`."""
    copies = [file for file in files for _ in range(COPIES)]
    round_ms = float(_time(copies, threads, 1).sum())
    rounds = int(np.clip(1000 * AGAIN_SECONDS / round_ms, 5, 1000))
    found = _time(copies, threads, rounds).reshape(len(files), COPIES)
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


def _time(files: Sequence[Path], threads: int, rounds: int) -> Values:
    """Median milliseconds of each file, called in turn, (files,).

    What a round did to all files alike is taken away first, which halves the noise of a busy machine.
    """
    calls = [prepare_call(file, threads=threads) for file in files]
    for _ in range(WARMUP):
        for call in calls:
            call()
    times = interleave(calls, rounds, clock=clock_of(threads))
    logs = np.log(np.maximum(times, 1e-6))  # a clock of ticks may say 0
    logs -= np.median(logs - np.median(logs, axis=1, keepdims=True), axis=0)
    found: Values = np.exp(np.median(logs, axis=1))
    return found
