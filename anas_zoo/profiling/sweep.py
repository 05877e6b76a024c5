"""Latency of many ONNX files, a few open at a time, made comparable by yardsticks that all groups time.

A pass deals the files anew into groups. The files of a group are called in turn, round after round,
together with the *yardsticks*, one or two of the files. All arithmetic is on logarithms, so that a slower
machine is a shift:

1. each round's shift, the median over the group's files of their distance from their own median, is taken
   away: it is what the machine did to all of them in that moment;
2. the group's shift, the mean of its yardsticks' medians, is taken away: it is what the machine was like
   while this group was timed;
3. a file's figure is the median of its calls of all passes, put back on the scale of the typical group.

The bar of a file is half of a 95 % interval: the wider of the one that its calls give (order statistics of
the median) and the one that its passes give (Student's t of their medians), since calls that follow each
other share disturbances, and passes do not. Files whose bars are wide get further passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.progress import Bar
from anas_zoo.core.schema import Schema
from anas_zoo.profiling.latency import prepare_call
from anas_zoo.profiling.stopwatch import time_rounds

__all__ = ["Sweep", "Timing", "check_numbers", "measure_sweep", "yardsticks_among"]

Times = npt.NDArray[np.float64]

GROUP = 8  # files open at a time beside the yardsticks: some hundred megabytes
PASSES = 4
EXTRA_PASSES = 4  # of the files whose bars are wider than WIDE_PCT
WIDE_PCT = 2.0
WARMUP = 2  # the first call allocates, the second still meets cold memory
YARDSTICKS = (0.25, 0.75)  # quantiles of the measured subnets' multiply-adds
POLISHES = 3  # steps of the median polish; it moves by less than a thousandth after two


class Timing(Schema):
    """Latency of one file.

    Attributes:
        p50_ms: median call.
        bar_pct: half of the 95 % interval of that median, in percent of it.
        p95_ms: 95th percentile, disturbances included.
        noise_pct: distance of the quartiles in percent of the median, disturbances included.
        waiting_pct: how much longer the median call took by the wall clock, for want of a free core.
        calls: measured calls.
    """

    p50_ms: float
    bar_pct: float
    p95_ms: float
    noise_pct: float
    waiting_pct: float
    calls: int


@dataclass(frozen=True)
class Sweep:
    """What was measured.

    Attributes:
        timings: one per file, in their order.
        level_pct: half of the middle 95 % of the groups' shifts, in percent: how much faster or slower the
            machine itself was from one group to the next. All milliseconds together are uncertain by that.
        drift_pct: how much longer the yardsticks took in the last quarter of the groups than in the first.
    """

    timings: list[Timing]
    level_pct: float
    drift_pct: float = 0.0


@dataclass
class _Samples:
    """What was measured of one file so far, one array per pass."""

    levels: list[Times]  # log of milliseconds, rounds and group taken away
    busy_ms: list[Times]
    wall_ms: list[Times]


def measure_sweep(
    files: Sequence[Path],
    *,
    yardsticks: Sequence[int],
    rng: np.random.Generator,
    threads: int = 1,
    repeats: int = 60,
) -> Sweep:
    """Latency of each of ``files``, one image a call; see the module's docstring.

    Args:
        files: ONNX files with one float32 input.
        yardsticks: which of them every group times too.
        rng: deals the files into groups.
        threads: threads of the runtime.
        repeats: measured calls of each file, over all passes; wide bars get up to as many again.

    Raises :class:`ProfileError` for numbers that cannot be, :class:`ExportError` for a file
    that onnxruntime cannot load.
    """
    check_numbers(threads, repeats)
    rounds = -(-repeats // PASSES)
    samples = [_Samples([], [], []) for _ in files]
    shifts: list[float] = []
    others = [index for index in range(len(files)) if index not in yardsticks]

    def one_pass(chosen: Sequence[int], what: str) -> None:
        dealt = rng.permutation(np.asarray(chosen, dtype=np.int64)).tolist()
        groups = [dealt[start : start + GROUP] for start in range(0, len(dealt), GROUP)] or [[]]
        with Bar(what, len(groups)) as bar:
            for group in groups:
                members = [*yardsticks, *group]
                shifts.append(_time_group(files, members, len(yardsticks), rounds, threads, samples))
                bar.advance()

    for number in range(PASSES):
        one_pass(others, f"timing, pass {number + 1} of {PASSES}")
    for number in range(EXTRA_PASSES):
        wide = [index for index in others if _timing(samples[index], 0.0).bar_pct > WIDE_PCT]
        if not wide:
            break
        one_pass(wide, f"timing, extra pass {number + 1} of at most {EXTRA_PASSES}")
    scale = float(np.median(shifts))
    low, high = np.percentile(shifts, [2.5, 97.5])
    quarter = max(1, len(shifts) // 4)
    drift = float(np.median(shifts[-quarter:]) - np.median(shifts[:quarter]))
    return Sweep(
        [_timing(one, scale) for one in samples],
        level_pct=100.0 * float(np.expm1((high - low) / 2)),
        drift_pct=100.0 * float(np.expm1(drift)),
    )


def yardsticks_among(macs: npt.NDArray[np.int64]) -> list[int]:
    """Which of the measured subnets, given their multiply-adds (N,), every group times too: a small and a
    large one. A saved model finds them again by this."""
    by_cost = np.argsort(macs, kind="stable")
    return sorted({int(by_cost[int(q * (len(macs) - 1))]) for q in YARDSTICKS})


def check_numbers(threads: int, repeats: int) -> None:
    """Raise :class:`ProfileError` for numbers that :func:`measure_sweep` cannot work with."""
    if threads < 1:
        raise ProfileError(f"threads must be at least 1, got {threads}")
    if repeats < 2 * PASSES:
        raise ProfileError(f"repeats must be at least {2 * PASSES}, got {repeats}")


def _time_group(
    files: Sequence[Path],
    members: Sequence[int],
    yardsticks: int,
    rounds: int,
    threads: int,
    samples: list[_Samples],
) -> float:
    """Time the files ``members``, of which the first are ``yardsticks``; returns the group's shift."""
    calls = [prepare_call(files[index], threads=threads) for index in members]
    for _ in range(WARMUP):
        for call in calls:
            call()
    busy, wall = time_rounds(calls, rounds, threads)
    levels = without_rounds(np.log(busy))
    shift = float(np.median(levels[:yardsticks], axis=1).mean())
    for row, index in enumerate(members):
        samples[index].levels.append(levels[row] - shift)
        samples[index].busy_ms.append(busy[row])
        samples[index].wall_ms.append(wall[row])
    return shift


def without_rounds(logs: Times) -> Times:
    """``logs`` (files, rounds) without what each round did to all files alike (Tukey's median polish)."""
    kept = logs.copy()
    for _ in range(POLISHES):
        kept -= np.median(kept - np.median(kept, axis=1, keepdims=True), axis=0)
    return kept


def _timing(samples: _Samples, scale: float) -> Timing:
    from scipy import stats

    pooled = np.sort(np.concatenate(samples.levels))
    count, passes = len(pooled), len(samples.levels)
    centre = float(np.median(pooled))
    low = int(stats.binom.ppf(0.025, count, 0.5))
    of_calls = float(pooled[count - 1 - low] - pooled[low]) / 2
    medians = [float(np.median(level)) for level in samples.levels]
    of_passes = float(stats.t.ppf(0.975, passes - 1) * np.std(medians, ddof=1) / np.sqrt(passes))
    busy, wall = np.concatenate(samples.busy_ms), np.concatenate(samples.wall_ms)
    p25, p50, p75, p95 = (float(p) for p in np.percentile(busy, [25, 50, 75, 95]))
    return Timing(
        p50_ms=float(np.exp(scale + centre)),
        bar_pct=100.0 * float(np.expm1(max(of_calls, of_passes))),
        p95_ms=p95,
        noise_pct=100.0 * (p75 - p25) / p50,
        waiting_pct=100.0 * max(0.0, float(np.median(wall)) / p50 - 1.0),
        calls=count,
    )
