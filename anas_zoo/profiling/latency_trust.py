"""How far the predictions of a latency model can be trusted: bars, the error, and this machine now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anas_zoo.core.schema import Schema

Values = npt.NDArray[np.float64]

TARGET_ERROR_PCT, TARGET_TAU = 5.0, 0.95
SHARE_PCT = 90.0  # of the held-out subnets lie within the bars
RESTLESS_PCT = 10.0  # a machine that moved by more while it was measured is too busy to fit a model on
SAME = (0.9, 1.1)  # factors that a few seconds of timing cannot tell from 1

Milliseconds = Field(gt=0, allow_inf_nan=False)


class Bars(Schema):
    """How far from a prediction the true latency may lie, in percent of the prediction."""

    low_pct: float = Field(le=0, gt=-100, allow_inf_nan=False)
    high_pct: float = Field(ge=0, allow_inf_nan=False)

    @property
    def factors(self) -> tuple[float, float]:
        """Both ends as factors of a prediction."""
        return 1.0 + self.low_pct / 100.0, 1.0 + self.high_pct / 100.0

    def hold(self, factors: Iterable[float]) -> bool:
        """Whether every one of ``factors`` times a prediction lies within the bars."""
        low, high = self.factors
        return all(low <= factor <= high for factor in factors)

    def wider_by(self, pct: float) -> Bars:
        """These bars where everything may also be ``pct`` percent faster or slower."""
        low, high = self.factors
        return Bars.holding([low / (1.0 + pct / 100.0), high * (1.0 + pct / 100.0)])

    def in_words(self) -> str:
        """Such as "-12 to +9 %"."""
        return f"{self.low_pct:.0f} to {self.high_pct:+.0f} %"

    @classmethod
    def holding(cls, factors: Iterable[float]) -> Bars:
        """The narrowest bars that hold ``factors``, all above 0; a prediction itself is always within."""
        ends = [1.0, *factors]
        return cls(low_pct=100.0 * (min(ends) - 1.0), high_pct=100.0 * (max(ends) - 1.0))


class ErrorReport(Schema):
    """The error of predictions for subnets that the fit has not seen, in percent of what was measured.

    ``bias_pct``, the median with its sign, is positive where predictions are too long. The verdict is of the
    targets :data:`TARGET_ERROR_PCT` and :data:`TARGET_TAU`, and is not known where the machine was busy.
    """

    subnets: int = Field(ge=2)
    median_abs_pct: float
    bias_pct: float
    kendall_tau: float
    verdict: Literal["met", "missed", "too noisy to say"]


def judge(predicted_ms: Values, measured_ms: Values, *, unrest: str | None = None) -> ErrorReport:
    """Compare predictions with measurements of the same subnets, both (N,), at least two.

    ``unrest``: how busy the machine was (see :func:`unrest_of`), if it was.
    """
    from scipy.stats import kendalltau

    errors = 100.0 * (predicted_ms - measured_ms) / measured_ms
    median = float(np.median(np.abs(errors)))
    # Without any differences among the predictions there is no order to agree with.
    tau = float(np.nan_to_num(kendalltau(predicted_ms, measured_ms).statistic))
    kept = median <= TARGET_ERROR_PCT and tau >= TARGET_TAU
    return ErrorReport(
        subnets=len(measured_ms),
        median_abs_pct=median,
        bias_pct=float(np.median(errors)),
        kendall_tau=tau,
        verdict="too noisy to say" if unrest else "met" if kept else "missed",
    )


def bars_of(predicted_ms: Values, measured_ms: Values) -> Bars:
    """The bars that hold :data:`SHARE_PCT` of the measured latencies around their predictions, both (N,)."""
    factors = measured_ms / np.maximum(predicted_ms, 1e-9)
    outside = (1.0 - SHARE_PCT / 100.0) / 2
    # Of few subnets the ends themselves: between them nothing is known.
    low = float(np.quantile(factors, outside, method="lower"))
    high = float(np.quantile(factors, 1.0 - outside, method="higher"))
    return Bars.holding([low, high])


def unrest_of(level_pct: float, noise_pct: float) -> str | None:
    """What a sweep saw of a machine too busy to be measured well, in words; None on a quiet one."""
    found = []
    if level_pct > RESTLESS_PCT:
        found.append(f"the same files took up to {level_pct:.0f} % more or less from moment to moment")
    if noise_pct > RESTLESS_PCT:
        found.append(f"repeated measurements of a file differ by ±{noise_pct:.0f} %")
    return ", ".join(found) or None


class YardstickTime(Schema):
    """One of the two measured subnets of a model that are timed again: at the fit, and now."""

    arch_id: str
    fit_ms: float = Milliseconds
    here_ms: float = Milliseconds

    @property
    def factor(self) -> float:
        """How many times as long it takes now."""
        return self.here_ms / self.fit_ms


class Here(Schema):
    """What all predictions of a latency model are multiplied by on this machine, and how far they hold.

    Attributes:
        verdict: "as fitted" where the yardsticks take what they took; "scaled" where both take about the same
            factor longer or shorter; "disagreeing" where they do not, so that ratios do not hold either.
        factor: of all predictions; 1 as fitted.
        bars: of a prediction that was multiplied.
        yardsticks: what was measured; none of a model of another device, which is taken as it is.
    """

    verdict: Literal["as fitted", "scaled", "disagreeing"]
    factor: float = Field(1.0, gt=0, allow_inf_nan=False)
    bars: Bars
    yardsticks: tuple[YardstickTime, ...] = ()

    def in_words(self) -> str:
        """How the machine stands to the model, in one line."""
        if not self.yardsticks:
            return f"as measured on the device itself, with bars of {self.bars.in_words()}"
        factors = " and ".join(f"{one.factor:.3g}" for one in self.yardsticks)
        scaled = "" if self.verdict == "as fitted" else f"; all milliseconds are scaled by {self.factor:.3g}"
        return (
            f"two yardsticks took {factors} times what they took at the fit{scaled}, "
            f"with bars of {self.bars.in_words()}"
        )


def compare(yardsticks: Sequence[YardstickTime], bars: Bars) -> Here:
    """What the ``yardsticks`` measured here say of a model whose predictions have ``bars``."""
    factors = [one.factor for one in yardsticks]
    common = float(np.exp(np.mean(np.log(factors))))
    apart = [factor / common for factor in factors]
    near = Bars.holding([*bars.factors, *SAME])
    if near.hold(factors):
        return Here(
            verdict="as fitted", bars=Bars.holding([*bars.factors, *factors]), yardsticks=tuple(yardsticks)
        )
    return Here(
        verdict="scaled" if near.hold(apart) else "disagreeing",
        factor=common,
        bars=Bars.holding([*bars.factors, *apart]),
        yardsticks=tuple(yardsticks),
    )
