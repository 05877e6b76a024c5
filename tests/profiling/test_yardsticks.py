"""What two subnets measured again say of all predictions."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_latency import tiny_file

from anas_zoo.profiling.latency_error import Bars
from anas_zoo.profiling.yardsticks import YardstickTime, compare, time_yardsticks

SCATTER = Bars(low_pct=-12, high_pct=15)


def times(*factors: float, noise: float = 0.0) -> list[YardstickTime]:
    """Yardsticks that take so many times as long as at the fit, in bursts that differ by ``noise``."""
    found = []
    for fit_ms, factor in zip((2.0, 30.0), factors, strict=True):
        now = fit_ms * factor
        low, high = now * (1 - noise), now * (1 + noise)
        found.append(YardstickTime(arch_id=f"{fit_ms}", fit_ms=fit_ms, here_ms=now, low_ms=low, high_ms=high))
    return found


def test_within_the_bars_a_model_is_used_as_it_is() -> None:
    here = compare(times(0.95, 1.1), SCATTER, level_pct=0.0)
    assert (here.verdict, here.factor) == ("as fitted", 1.0)
    assert here.bars is not None
    assert here.bars.factors == pytest.approx(SCATTER.factors)


def test_a_common_factor_scales_everything() -> None:
    here = compare(times(2.18, 2.24), SCATTER, level_pct=0.0)
    assert here.verdict == "scaled"
    assert here.factor == pytest.approx(2.21, abs=0.01)
    assert here.bars is not None
    assert here.bars.factors == pytest.approx(SCATTER.factors)
    assert here.factors_in_words() == "2.18 and 2.24 times"


def test_factors_that_differ_are_said_to_and_both_lie_within_the_bars() -> None:
    here = compare(times(1.0, 2.2), SCATTER, level_pct=0.0)
    assert here.verdict == "disagreeing"
    assert here.bars is not None
    low, high = here.bars.factors
    assert low * here.factor == pytest.approx(1.0)
    assert high * here.factor == pytest.approx(2.2)


def test_a_machine_that_changes_its_speed_while_they_are_measured_has_wide_bars() -> None:
    calm, wild = (compare(times(2.0, 2.0, noise=noise), SCATTER, level_pct=0.0) for noise in (0.01, 0.4))
    assert calm.bars is not None
    assert wild.bars is not None
    assert wild.bars.factors == pytest.approx((0.6, 1.4))
    assert calm.bars.factors == pytest.approx(SCATTER.factors)
    restless = compare(times(2.0, 2.0), SCATTER, level_pct=50.0).bars
    assert restless is not None
    assert restless.holds(1.7)


def test_without_held_out_measurements_there_is_a_factor_and_no_bars() -> None:
    here = compare(times(2.0, 2.0), None, level_pct=1.0)
    assert (here.verdict, here.bars) == ("scaled", None)
    assert here.factor == pytest.approx(2.0)
    assert compare(times(1.05, 0.95), None, level_pct=1.0).factor == 1.0


def test_real_files_are_timed(tmp_path: Path) -> None:
    files = [tiny_file(tmp_path / f"{side}.onnx", ("batch", 3, side, side)) for side in (8, 64)]
    found = time_yardsticks(files, ["small", "large"], [1.0, 2.0])
    assert [one.arch_id for one in found] == ["small", "large"]
    for one in found:
        assert 0 < one.low_ms <= one.here_ms <= one.high_ms
        assert one.factor == one.here_ms / one.fit_ms
