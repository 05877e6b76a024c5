from __future__ import annotations

import numpy as np
import pytest
from latency_records import COEFFICIENTS, timing
from scipy import stats

from anas_zoo.profiling.design import designed_codes, held_out_codes
from anas_zoo.profiling.latency_error import judge
from anas_zoo.profiling.latency_fit import fit_coefficients
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("attentive_nas")
MACS = ("stem_macs", "wide_macs", "narrow_macs", "depthwise3_macs", "depthwise_macs", "vector_weights")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", SearchSpace.presets())
def test_the_kinds_of_work_hold_every_multiply_add_once(name: str) -> None:
    space = SearchSpace.load(name)
    archs = [space.smallest, space.largest, *space.decode(space.sample_codes(rng(), 20))]
    columns = [list(WORK).index(kind) for kind in MACS]
    found = [1e6 * work_of(space.structure, arch, 100)[columns].sum() for arch in archs]
    assert found == pytest.approx(space.macs(archs, num_classes=100).tolist(), rel=1e-12)


@pytest.mark.parametrize("noise_pct", [0.0, 1.0, 5.0])
def test_the_fit_finds_what_made_the_times(noise_pct: float) -> None:
    designed = designed_codes(SPACE, 60, rng())
    held_out = held_out_codes(SPACE, 30, rng(1), apart_from=designed)
    codes = np.concatenate([designed, held_out])
    work = np.array([work_of(SPACE.structure, arch, 1000) for arch in SPACE.decode(codes)])
    truth_ms = work @ COEFFICIENTS
    noisy_ms = truth_ms * (1 + noise_pct / 100 * rng(2).standard_normal(len(codes)))
    found, _ = fit_coefficients(work[:60], noisy_ms[:60], rng(3))
    assert (found >= 0).all()
    # Against the truth the prediction is better than a single measurement, for it saw sixty.
    error = np.median(np.abs(100 * (work[60:] @ found / truth_ms[60:] - 1)))
    assert error < max(0.2, 0.6 * noise_pct)


def test_kinds_of_work_that_a_space_lacks_cost_nothing() -> None:
    work = rng().random((20, 4)) + 1.0
    work[:, 2] = 0.0
    found, _ = fit_coefficients(work, work @ np.array([1.0, 2.0, 3.0, 4.0]), rng())
    assert found == pytest.approx([1.0, 2.0, 0.0, 4.0], rel=0.05)


@pytest.mark.parametrize(
    ("error_pct", "bar_pct", "verdict"),
    [
        (1.0, 1.0, "met"),
        (8.0, 1.0, "missed"),
        (4.9, 5.0, "too noisy to say"),
        (0.0, 30.0, "too noisy to say"),
    ],
)
def test_the_verdict_knows_the_noise(error_pct: float, bar_pct: float, verdict: str) -> None:
    measured = np.geomspace(10.0, 100.0, 40)
    signs = np.where(np.arange(40) % 2 == 0, 1, -1)
    predicted = measured * (1 + error_pct / 100 * signs)
    report = judge(predicted, [timing(ms, bar_pct) for ms in measured], rng())
    assert report.verdict == verdict
    assert report.median_abs_pct == pytest.approx(error_pct)
    assert report.median_abs_pct_bar[0] <= report.median_abs_pct <= report.median_abs_pct_bar[1]
    assert report.kendall_tau_bar[0] <= report.kendall_tau <= report.kendall_tau_bar[1]
    assert report.median_bar_pct == bar_pct


def test_a_machine_that_changed_its_speed_is_no_fault_of_the_model() -> None:
    predicted = np.geomspace(10.0, 100.0, 40)
    timings = [timing(1.08 * ms) for ms in predicted]  # a day on which everything is 8 % slower
    assert judge(predicted, timings, rng()).verdict == "missed"
    report = judge(predicted, timings, rng(), level_pct=9.0)
    assert report.verdict == "too noisy to say"
    assert report.scatter_pct == pytest.approx(0.0, abs=1e-9)
    assert report.bias_pct == pytest.approx(-100 * 0.08 / 1.08)


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_tau_is_scipys(decimals: int) -> None:
    measured = rng().random(25) * 10 + 5
    predicted = np.round(measured + rng(1).standard_normal(25), decimals)  # few decimals: ties
    report = judge(predicted, [timing(ms) for ms in measured], rng())
    assert report.kendall_tau == pytest.approx(stats.kendalltau(predicted, measured).statistic)


def test_predictions_without_any_order() -> None:
    report = judge(np.full(5, 10.0), [timing(ms) for ms in (8.0, 9.0, 10.0, 11.0, 12.0)], rng())
    assert (report.kendall_tau, report.verdict) == (0.0, "missed")
