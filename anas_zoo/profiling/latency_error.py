"""How far predicted latencies lie from measured ones, and what the noise of the measurement lets one say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anas_zoo.profiling.sweep import Timing
from anas_zoo.schema import Schema

__all__ = ["TARGET_ERROR_PCT", "TARGET_TAU", "ErrorReport", "judge"]

Values = npt.NDArray[np.float64]

TARGET_ERROR_PCT = 5.0
TARGET_TAU = 0.95
REDRAWS = 1000
SIGMAS = 1.96  # half of a 95 % interval

Verdict = Literal["met", "missed", "too noisy to say"]


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
            bars lie wholly on one side, else the machine was too noisy to say.
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


def judge(
    predicted_ms: Values, timings: Sequence[Timing], rng: np.random.Generator, *, level_pct: float = 0.0
) -> ErrorReport:
    """Compare predictions with measurements of the same subnets, at least two, in the same order.

    The bars come from measured latencies redrawn within their own bars, and all of them together within
    ``level_pct``. Those hold the noise twice, once as measured and once as redrawn, so the bars are rather
    too wide than too narrow.
    """
    measured = np.array([timing.p50_ms for timing in timings])
    bars = np.array([timing.bar_pct for timing in timings])
    errors = 100.0 * (predicted_ms - measured) / measured
    median, tau = (float(figure[0]) for figure in _figures(predicted_ms, measured[None]))
    redrawn = measured * (1.0 + bars / SIGMAS / 100.0 * rng.standard_normal((REDRAWS, len(measured))))
    redrawn *= 1.0 + level_pct / SIGMAS / 100.0 * rng.standard_normal((REDRAWS, 1))
    medians, taus = _figures(predicted_ms, np.maximum(redrawn, measured / 10))
    median_bar, tau_bar = _interval(medians, median), _interval(taus, tau)
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
        verdict=_verdict(median_bar, tau_bar),
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
