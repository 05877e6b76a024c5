"""How a machine stands now to what it was at the fit of a latency model: its yardsticks, timed again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from anas_zoo.core.progress import track
from anas_zoo.core.schema import Schema
from anas_zoo.profiling.latency import prepare_call
from anas_zoo.profiling.latency_error import Bars
from anas_zoo.profiling.stopwatch import time_rounds

__all__ = ["Here", "YardstickTime", "compare", "time_yardsticks"]

COPIES = 5  # of each file, open at a time: a sweep's groups meet the caches as cold
BURSTS = 8
BURST_SECONDS = 0.25
LEAST_ROUNDS, MOST_ROUNDS = 2, 400  # of a burst
WARMUP = 3
# Within this nothing can be told apart in seconds; it still counts as the same.
LEAST_BARS = Bars(low_pct=-10, high_pct=10)

Verdict = Literal["as fitted", "scaled", "disagreeing", "not measured"]


class YardstickTime(Schema):
    """One yardstick, at the fit and now.

    Attributes:
        arch_id: which subnet.
        fit_ms: its latency at the fit.
        here_ms: its latency now: median over the bursts.
        low_ms: the fastest burst's median.
        high_ms: the slowest burst's.
    """

    arch_id: str
    fit_ms: float = Field(gt=0, allow_inf_nan=False)
    here_ms: float = Field(gt=0, allow_inf_nan=False)
    low_ms: float = Field(gt=0, allow_inf_nan=False)
    high_ms: float = Field(gt=0, allow_inf_nan=False)

    @property
    def factor(self) -> float:
        """How many times as long it takes now."""
        return self.here_ms / self.fit_ms


class Here(Schema):
    """What all predictions of a latency model are multiplied by on this machine, and how far they hold.

    Attributes:
        verdict: "as fitted" where the yardsticks take what they took; "scaled" where both take the same
            factor longer or shorter; "disagreeing" where they do not, so that ratios do not hold either;
            "not measured".
        factor: of all predictions; 1 as fitted.
        bars: of a prediction that was multiplied; None where nothing is known of them.
        yardsticks: what was measured.
    """

    verdict: Verdict = "not measured"
    factor: float = Field(1.0, gt=0, allow_inf_nan=False)
    bars: Bars | None = None
    yardsticks: tuple[YardstickTime, ...] = ()

    def factors_in_words(self) -> str:
        """Such as "2.18 and 2.24 times"."""
        return " and ".join(f"{one.factor:.3g}" for one in self.yardsticks) + " times"


def compare(yardsticks: Sequence[YardstickTime], scatter: Bars | None, level_pct: float) -> Here:
    """What the yardsticks, at least one, say of predictions made now.

    Args:
        yardsticks: measured here.
        scatter: the bars by the model's held-out subnets alone; None where they are not known.
        level_pct: how much the machine changed its speed during the fit.
    """
    same = LEAST_BARS if scatter is None else scatter.holding(LEAST_BARS.factors)
    factors = [one.factor for one in yardsticks]
    common = float(np.exp(np.mean(np.log(factors))))
    verdict: Verdict
    if all(same.holds(factor) for factor in factors):
        verdict, common = "as fitted", 1.0
    elif all(same.holds(factor / common) for factor in factors):
        verdict = "scaled"
    else:
        verdict = "disagreeing"
    seen = [ms / one.fit_ms / common for one in yardsticks for ms in (one.low_ms, one.high_ms)]
    bars = None if scatter is None else scatter.wider_by(level_pct).holding(seen)
    return Here(verdict=verdict, factor=common, bars=bars, yardsticks=tuple(yardsticks))


def time_yardsticks(
    files: Sequence[Path], arch_ids: Sequence[str], fit_ms: Sequence[float], *, threads: int = 1
) -> list[YardstickTime]:
    """Time the yardsticks' ``files`` in turn, in bursts over some seconds.

    Raises as :func:`anas_zoo.profiling.latency.prepare_call` does.
    """
    calls = [prepare_call(file, threads=threads) for _ in range(COPIES) for file in files]
    for _ in range(WARMUP):
        began = time.perf_counter()
        for call in calls:
            call()
        seconds = time.perf_counter() - began
    rounds = int(np.clip(BURST_SECONDS / max(seconds, 1e-6), LEAST_ROUNDS, MOST_ROUNDS))
    medians = []  # (bursts, files)
    for _ in track(range(BURSTS), "measure the yardsticks", total=BURSTS):
        busy, _ = time_rounds(calls, rounds, threads)
        by_file = busy.reshape(COPIES, len(files), rounds).transpose(1, 0, 2).reshape(len(files), -1)
        medians.append(np.median(by_file, axis=1))
    bursts = np.array(medians)
    return [
        YardstickTime(
            arch_id=arch_ids[place],
            fit_ms=fit_ms[place],
            here_ms=float(np.median(bursts[:, place])),
            low_ms=float(bursts[:, place].min()),
            high_ms=float(bursts[:, place].max()),
        )
        for place in range(len(files))
    ]
