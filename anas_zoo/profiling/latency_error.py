"""How far predicted latencies lie from measured ones, and what the noise of the measurement lets one say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anas_zoo.core.schema import Schema
from anas_zoo.profiling.sweep import Sweep, Timing

__all__ = [
    "TARGET_ERROR_PCT",
    "TARGET_TAU",
    "Bars",
    "ErrorReport",
    "bars_of",
    "judge",
    "restless_level",
    "unrest_of",
]

Values = npt.NDArray[np.float64]

TARGET_ERROR_PCT = 5.0
TARGET_TAU = 0.95
REDRAWS = 1000
SIGMAS = 1.96  # half of a 95 % interval
SHARE_PCT = 90.0  # of the held-out subnets lie within the bars
# A machine that moved by more than this while it was measured is not one to trust a fit of.
RESTLESS_LEVEL_PCT, RESTLESS_DRIFT_PCT, RESTLESS_BAR_PCT = 10.0, 10.0, 10.0

Verdict = Literal["met", "missed", "too noisy to say"]


class Bars(Schema):
    """How far from a prediction the true latency may lie, in percent of the prediction.

    Attributes:
        low_pct: the lower end; not above 0.
        high_pct: the upper end; not below 0.
    """

    low_pct: float = Field(le=0, gt=-100, allow_inf_nan=False)
    high_pct: float = Field(ge=0, allow_inf_nan=False)

    @property
    def factors(self) -> tuple[float, float]:
        """Both ends as factors of a prediction."""
        return 1.0 + self.low_pct / 100.0, 1.0 + self.high_pct / 100.0

    def holds(self, factor: float) -> bool:
        """Whether ``factor`` times a prediction lies within the bars."""
        low, high = self.factors
        return low <= factor <= high

    def wider_by(self, pct: float) -> Bars:
        """These bars where everything may also be ``pct`` percent faster or slower."""
        low, high = self.factors
        return Bars.between(low / (1.0 + pct / 100.0), high * (1.0 + pct / 100.0))

    def holding(self, factors: Sequence[float]) -> Bars:
        """These bars, stretched to hold ``factors`` too."""
        low, high = self.factors
        return Bars.between(min(low, *factors), max(high, *factors))

    def in_words(self) -> str:
        """Such as "-12 to +9 %"."""
        return f"{self.low_pct:.0f} to {self.high_pct:+.0f} %"

    @classmethod
    def between(cls, low: float, high: float) -> Bars:
        """The bars from one factor to another, both above 0; a prediction itself is always within."""
        return cls(low_pct=100.0 * (min(low, 1.0) - 1.0), high_pct=100.0 * (max(high, 1.0) - 1.0))


class ErrorReport(Schema):
    """The error on subnets that the fit has not seen.

    Attributes:
        subnets: how many.
        median_abs_pct: median of the absolute errors in percent of the measured latency.
        median_abs_pct_bar: from where to where it goes when the measured latencies move within their bars.
        p90_abs_pct: 90th percentile of the absolute errors.
        max_abs_pct: largest absolute error.
        bias_pct: median of the errors with their signs; positive where predictions are too long.
        scatter_pct: median of the absolute errors once the bias is taken away: how true the ratios are.
        kendall_tau: rank correlation of predicted and measured latencies.
        kendall_tau_bar: from where to where it goes, likewise.
        level_pct: how far all measured latencies together may be off from those that were fitted on, for
            the machine was faster or slower then; 0 where all were measured in one sweep.
        median_bar_pct: median of the measured latencies' own bars (half of a 95 % interval).
        waiting_pct: median of what calls waited for a core; about 0 on an idle machine.
        verdict: whether the targets (:data:`TARGET_ERROR_PCT`, :data:`TARGET_TAU`) are met. Only where the
            bars lie wholly on one side, else the machine was too noisy to say; so it was where it was
            restless (:func:`unrest_of`).
    """

    subnets: int = Field(ge=2)
    median_abs_pct: float
    median_abs_pct_bar: tuple[float, float]
    p90_abs_pct: float
    max_abs_pct: float
    bias_pct: float
    scatter_pct: float
    kendall_tau: float
    kendall_tau_bar: tuple[float, float]
    level_pct: float
    median_bar_pct: float
    waiting_pct: float
    verdict: Verdict


def bars_of(predicted_ms: Values, measured_ms: Values) -> Bars:
    """The bars that hold :data:`SHARE_PCT` of the measured latencies around their predictions, both (N,)."""
    factors = measured_ms / np.maximum(predicted_ms, 1e-9)
    outside = (1.0 - SHARE_PCT / 100.0) / 2
    # Of few subnets the ends themselves: between them nothing is known.
    low = float(np.quantile(factors, outside, method="lower"))
    high = float(np.quantile(factors, 1.0 - outside, method="higher"))
    return Bars.between(low, high)


def restless_level(level_pct: float) -> str | None:
    """The part of :func:`unrest_of` that is known of every fit, old ones included."""
    if level_pct <= RESTLESS_LEVEL_PCT:
        return None
    return f"the same files took up to {level_pct:.0f} % more or less from moment to moment"


def unrest_of(sweep: Sweep) -> str | None:
    """What a sweep saw of a machine too busy to be measured well, in words; None on a quiet one."""
    found = [words] if (words := restless_level(sweep.level_pct)) else []
    if abs(sweep.drift_pct) > RESTLESS_DRIFT_PCT:
        found.append(f"{sweep.drift_pct:+.0f} % from the beginning to the end")
    bar_pct = float(np.median([timing.bar_pct for timing in sweep.timings]))
    if bar_pct > RESTLESS_BAR_PCT:
        found.append(f"repeated calls of a file differ by ±{bar_pct:.0f} %")
    return ", ".join(found) or None


def judge(
    predicted_ms: Values,
    timings: Sequence[Timing],
    rng: np.random.Generator,
    *,
    level_pct: float = 0.0,
    restless: bool = False,
) -> ErrorReport:
    """Compare predictions with measurements of the same subnets, at least two, in the same order.

    The bars come from measured latencies redrawn within their own bars, and all of them together within
    ``level_pct``. Those hold the noise twice, once as measured and once as redrawn, so the bars are rather
    too wide than too narrow. Of a ``restless`` machine it is never said that the targets are met.
    """
    measured = np.array([timing.p50_ms for timing in timings])
    bars = np.array([timing.bar_pct for timing in timings])
    errors = 100.0 * (predicted_ms - measured) / measured
    median, tau = (float(figure[0]) for figure in _figures(predicted_ms, measured[None]))
    redrawn = measured * (1.0 + bars / SIGMAS / 100.0 * rng.standard_normal((REDRAWS, len(measured))))
    redrawn *= 1.0 + level_pct / SIGMAS / 100.0 * rng.standard_normal((REDRAWS, 1))
    medians, taus = _figures(predicted_ms, np.maximum(redrawn, measured / 10))
    median_bar, tau_bar = _interval(medians, median), _interval(taus, tau)
    verdict = _verdict(median_bar, tau_bar)
    return ErrorReport(
        subnets=len(timings),
        median_abs_pct=median,
        median_abs_pct_bar=median_bar,
        p90_abs_pct=float(np.percentile(np.abs(errors), 90)),
        max_abs_pct=float(np.abs(errors).max()),
        bias_pct=float(np.median(errors)),
        scatter_pct=float(np.median(np.abs(errors - np.median(errors)))),
        kendall_tau=tau,
        kendall_tau_bar=tau_bar,
        level_pct=level_pct,
        median_bar_pct=float(np.median(bars)),
        waiting_pct=float(np.median([timing.waiting_pct for timing in timings])),
        verdict="too noisy to say" if restless and verdict == "met" else verdict,
    )


def _figures(predicted: Values, measured: Values) -> tuple[Values, Values]:
    """Median absolute error in percent, and Kendall's tau-b, of (N,) against each row of (draws, N)."""
    medians = np.median(100.0 * np.abs(predicted - measured) / measured, axis=1)
    first, second = np.triu_indices(len(predicted), k=1)
    # All draws at once, where scipy's kendalltau takes a call, and a millisecond, for each.
    ours = np.sign(predicted[first] - predicted[second])
    theirs = np.sign(measured[:, first] - measured[:, second])
    untied = np.sqrt(np.abs(ours).sum() * np.abs(theirs).sum(axis=1))
    # Without any differences among the predictions there is no order to agree with.
    return medians, (theirs * ours).sum(axis=1) / np.maximum(untied, 1.0)


def _interval(values: Values, point: float) -> tuple[float, float]:
    """The middle 95 % of ``values``, stretched to hold ``point``."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(min(low, point)), float(max(high, point))


def _verdict(median_bar: tuple[float, float], tau_bar: tuple[float, float]) -> Verdict:
    if median_bar[1] <= TARGET_ERROR_PCT and tau_bar[0] >= TARGET_TAU:
        return "met"
    if median_bar[0] > TARGET_ERROR_PCT or tau_bar[1] < TARGET_TAU:
        return "missed"
    return "too noisy to say"
