from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from test_latency import tiny_file

from anas_zoo.core.errors import ProfileError
from anas_zoo.profiling.stopwatch import clock_name, time_rounds
from anas_zoo.profiling.sweep import GROUP, PASSES, WIDE_PCT, _Samples, _timing, measure_sweep, without_rounds


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def samples(noise: float, of_pass: float = 0.0, rounds: int = 15, level: float = 2.0) -> _Samples:
    """Calls of a file whose logarithm is ``level``, with noise by call and by pass."""
    generator = rng()
    levels = [
        level + of_pass * generator.standard_normal() + noise * generator.standard_normal(rounds)
        for _ in range(PASSES)
    ]
    return _Samples(levels, [np.exp(one) for one in levels], [1.5 * np.exp(one) for one in levels])


def test_waiting_for_others_is_not_counted() -> None:
    busy, wall = time_rounds([lambda: time.sleep(0.01)], rounds=2, threads=1)
    assert (wall >= 9.9).all()
    if clock_name(1) == "cpu":
        assert (busy < wall).all()
    busy, wall = time_rounds([lambda: None], rounds=2, threads=2)
    assert (busy == wall).all()
    assert clock_name(2) == "wall"


def test_what_a_round_does_to_all_files_is_taken_away() -> None:
    truth = np.log(np.array([[1.0], [5.0], [20.0]]))
    rounds = np.where(np.arange(20) % 3 == 0, 0.7, 0.0)  # a third of the rounds twice as slow
    noise = 0.001 * rng().standard_normal((3, 20))
    kept = without_rounds(truth + rounds + noise)
    assert kept.std(axis=1).max() < 0.003
    assert np.median(kept, axis=1) == pytest.approx(truth[:, 0], abs=0.002)


def test_a_bar_holds_the_truth_and_grows_with_the_noise() -> None:
    quiet, loud = _timing(samples(0.01), 0.0), _timing(samples(0.1), 0.0)
    assert quiet.bar_pct < 1.5 < loud.bar_pct
    for timing in (quiet, loud):
        assert abs(np.log(timing.p50_ms) - 2.0) < timing.bar_pct / 100
        assert timing.waiting_pct == pytest.approx(50.0)
        assert timing.calls == 15 * PASSES


def test_passes_that_disagree_make_a_wide_bar() -> None:
    agreeing = _timing(samples(0.001), 0.0).bar_pct
    assert agreeing < WIDE_PCT / 2
    assert _timing(samples(0.001, of_pass=0.05), 0.0).bar_pct > 2 * WIDE_PCT


def test_more_files_than_are_open_at_a_time(tmp_path: Path) -> None:
    sides = [4 + index for index in range(GROUP + 3)]
    files = [tiny_file(tmp_path / f"{side}.onnx", ("batch", 3, side, side)) for side in sides]
    sweep = measure_sweep(files, yardsticks=(0, 3), rng=rng(), repeats=10)
    timings = sweep.timings
    assert sweep.level_pct >= 0
    assert len(timings) == len(files)
    rounds = -(-10 // PASSES)
    for index, timing in enumerate(timings):
        assert timing.p50_ms > 0
        assert timing.bar_pct >= 0
        assert timing.calls >= rounds * PASSES
        assert index not in (0, 3) or timing.calls >= 2 * rounds * PASSES  # a yardstick is in every group


def test_numbers_that_cannot_be(tmp_path: Path) -> None:
    files = [tiny_file(tmp_path / "a.onnx")]
    with pytest.raises(ProfileError, match="threads must be at least 1, got 0"):
        measure_sweep(files, yardsticks=(0,), rng=rng(), threads=0)
    with pytest.raises(ProfileError, match="repeats must be at least 8, got 7"):
        measure_sweep(files, yardsticks=(0,), rng=rng(), repeats=7)
