"""How far from a prediction the truth may lie, and what a busy or another machine makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from anas_zoo.profiling.latency_trust import Bars, YardstickTime, bars_of, compare, judge, unrest_of

BARS = Bars(low_pct=-12, high_pct=15)


def test_bars_hold_nine_of_ten_held_out_subnets_on_both_sides() -> None:
    predicted = np.full(100, 2.0)
    factors = np.linspace(0.8, 1.4, 100)
    low, high = bars_of(predicted, predicted * factors).factors
    assert low == pytest.approx(0.83, abs=0.01)
    assert high == pytest.approx(1.37, abs=0.01)
    assert ((factors >= low) & (factors <= high)).sum() >= 90
    few = bars_of(np.ones(3), np.array([0.9, 1.0, 1.3]))
    assert few.factors == pytest.approx((0.9, 1.3))  # between the ends of three nothing is known
    assert bars_of(np.ones(10), np.linspace(1.2, 1.3, 10)).low_pct == 0  # the prediction itself is within
    assert BARS.wider_by(50.0).factors == pytest.approx((0.88 / 1.5, 1.15 * 1.5))
    assert Bars(low_pct=-12.4, high_pct=9.6).in_words() == "-12 to +10 %"


@pytest.mark.parametrize(
    ("error_pct", "unrest", "verdict"),
    [
        (1.0, None, "met"),
        (8.0, None, "missed"),
        (1.0, "busy", "too noisy to say"),
        (8.0, "busy", "too noisy to say"),
    ],
)
def test_nothing_is_said_of_a_busy_machine(error_pct: float, unrest: str | None, verdict: str) -> None:
    measured = np.geomspace(10.0, 100.0, 40)
    signs = np.where(np.arange(40) % 2 == 0, 1, -1)
    report = judge(measured * (1 + error_pct / 100 * signs), measured, unrest=unrest)
    assert report.verdict == verdict
    assert report.median_abs_pct == pytest.approx(error_pct)
    assert report.bias_pct == pytest.approx(0.0, abs=1e-9)
    slower = judge(measured, 1.08 * measured)
    assert slower.bias_pct == pytest.approx(-100 * 0.08 / 1.08)


def test_the_order_counts_too() -> None:
    measured = np.linspace(10.0, 10.5, 12)  # within 5 % whatever their order
    assert judge(measured, measured).verdict == "met"
    backwards = judge(measured[::-1], measured)
    assert backwards.kendall_tau == pytest.approx(-1.0)
    assert backwards.verdict == "missed"
    assert judge(np.full(12, 10.2), measured).kendall_tau == 0.0


def test_a_busy_machine_is_described() -> None:
    assert unrest_of(2.0, 1.0) is None
    assert "took up to 58 % more or less from moment to moment" in str(unrest_of(57.8, 1.0))
    assert "repeated measurements of a file differ by ±25 %" in str(unrest_of(2.0, 25.0))


def times(*factors: float) -> list[YardstickTime]:
    """Yardsticks that take ``factors`` times as long as at the fit."""
    return [
        YardstickTime(arch_id=f"{fit_ms}", fit_ms=fit_ms, here_ms=fit_ms * factor)
        for fit_ms, factor in zip((2.0, 30.0), factors, strict=True)
    ]


@pytest.mark.parametrize(
    ("factors", "verdict", "factor", "bars"),
    [
        ((0.95, 1.1), "as fitted", 1.0, (0.88, 1.15)),
        ((2.18, 2.24), "scaled", 2.21, (0.88, 1.15)),
        ((1.0, 2.2), "disagreeing", 1.483, (1 / 1.483, 2.2 / 1.483)),
    ],
)
def test_two_yardsticks_say_what_predictions_are_multiplied_by(
    factors: tuple[float, float], verdict: str, factor: float, bars: tuple[float, float]
) -> None:
    here = compare(times(*factors), BARS)
    assert here.verdict == verdict
    assert here.factor == pytest.approx(factor, abs=0.01)
    assert here.bars.factors == pytest.approx(bars, abs=0.001)
    said = here.in_words()
    assert said.startswith(f"two yardsticks took {factors[0]:.3g} and {factors[1]:.3g} times")
    assert ("scaled by" in said) == (verdict != "as fitted")
    exact = compare(times(*factors), Bars(low_pct=0, high_pct=0))  # a tenth is within what seconds can tell
    assert exact.verdict == verdict
