"""How far from a prediction the truth may lie, and what a busy machine makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from latency_records import measured_of, model_of, timing

from anas_zoo.profiling.latency_error import Bars, bars_of, judge, unrest_of
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.sweep import Sweep, yardsticks_among
from anas_zoo.space import Architecture, SearchSpace

SPACE = SearchSpace.load("digits")


def test_bars_hold_nine_of_ten_held_out_subnets_on_both_sides() -> None:
    predicted = np.full(100, 2.0)
    factors = np.linspace(0.8, 1.4, 100)
    low, high = bars_of(predicted, predicted * factors).factors
    assert low == pytest.approx(0.83, abs=0.01)
    assert high == pytest.approx(1.37, abs=0.01)
    assert ((factors >= low) & (factors <= high)).sum() >= 90
    few = bars_of(np.ones(3), np.array([0.9, 1.0, 1.3]))
    assert few.factors == pytest.approx((0.9, 1.3))  # between the ends of three nothing is known


def test_a_prediction_is_within_its_own_bars_even_where_all_were_measured_slower() -> None:
    bars = bars_of(np.ones(10), np.linspace(1.2, 1.3, 10))
    assert bars.low_pct == 0
    assert bars.factors[1] == pytest.approx(1.3)


def test_the_speed_of_the_machine_widens_the_bars_of_a_model() -> None:
    measured = measured_of(SPACE, times=(0.9, 1.0, 1.1))
    quiet, busy = (model_of(SPACE, measured=measured, level_pct=level) for level in (0.0, 50.0))
    assert quiet.bars is not None
    assert busy.bars is not None
    assert quiet.scatter == busy.scatter
    assert quiet.bars.factors == pytest.approx((0.9, 1.1))
    assert busy.bars.factors == pytest.approx((0.6, 1.65))
    assert quiet.with_classes(47).bars == quiet.bars


def test_a_file_of_before_has_bars_where_it_keeps_its_measurements(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    model_of(SPACE, measured=measured_of(SPACE, times=(0.9, 1.1))).save(path)
    data = json.loads(path.read_text())
    del data["unrest"]
    path.write_text(json.dumps(data))
    model = LatencyModel.load(path, SPACE)
    assert model.bars is not None
    assert model.unrest is None
    data["level_pct"] = 57.8  # on a busy machine, which such a file does not say in words
    path.write_text(json.dumps(data))
    restless = LatencyModel.load(path, SPACE)
    assert restless.record.unrest is None
    assert restless.unrest == "the same files took up to 58 % more or less from moment to moment"
    bare = model_of(SPACE)
    assert bare.bars is None
    assert bare.yardsticks == ()


def test_the_yardsticks_of_a_file_are_those_that_it_was_measured_beside() -> None:
    model = model_of(SPACE, measured=measured_of(SPACE))
    archs = [Architecture.from_dict(one.arch) for one in model.record.measured]
    macs = SPACE.macs(archs, 10)
    small, large = (Architecture.from_dict(one.arch) for one in model.yardsticks)
    assert {archs[place] for place in yardsticks_among(macs)} == {small, large}
    spread = np.sort(macs)
    assert SPACE.macs([small], 10)[0] == spread[24]
    assert SPACE.macs([large], 10)[0] == spread[74]


def sweep(level_pct: float = 2.0, drift_pct: float = 1.0, bar_pct: float = 1.0) -> Sweep:
    return Sweep([timing(1.0, bar_pct)] * 5, level_pct, drift_pct)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (sweep(level_pct=57.8), "took up to 58 % more or less from moment to moment"),
        (sweep(drift_pct=120.0), "+120 % from the beginning to the end"),
        (sweep(drift_pct=-40.0), "-40 % from the beginning to the end"),
        (sweep(bar_pct=25.0), "repeated calls of a file differ by ±25 %"),
    ],
)
def test_a_busy_machine_is_noticed_and_never_said_to_meet_the_target(seen: Sweep, said: str) -> None:
    unrest = unrest_of(seen)
    assert unrest is not None
    assert said in unrest
    assert unrest_of(sweep()) is None
    predicted = np.linspace(1.0, 2.0, 30)
    timings = [timing(ms) for ms in predicted]
    assert judge(predicted, timings, np.random.default_rng(0)).verdict == "met"
    assert judge(predicted, timings, np.random.default_rng(0), restless=True).verdict == "too noisy to say"
    far = judge(2 * predicted, timings, np.random.default_rng(0), restless=True)
    assert far.verdict == "missed"


def test_bars_in_words() -> None:
    assert Bars(low_pct=-12.4, high_pct=9.6).in_words() == "-12 to +10 %"
