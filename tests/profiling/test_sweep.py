from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from test_latency import tiny_file

from anas_zoo.profiling import sweep as sweep_module
from anas_zoo.profiling.latency import clock_of, interleave
from anas_zoo.profiling.sweep import GROUP, PASSES, measure_sweep, time_again, yardsticks_among


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_waiting_for_others_is_not_counted() -> None:
    wall = interleave([lambda: time.sleep(0.01)], 2)
    assert (wall >= 9.9).all()
    if clock_of(1) == "cpu":
        assert (interleave([lambda: time.sleep(0.01)], 2, clock="cpu") < wall / 2).all()
    assert clock_of(2) == "wall"


def test_the_speed_of_the_machine_is_divided_out(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [Path(str(index)) for index in range(2 * GROUP + 2)]
    speeds = iter([1.0, 1.5] * PASSES)
    groups: list[list[Path]] = []

    def timed(members: list[Path], threads: int, rounds: int) -> np.ndarray:
        groups.append(members)
        return next(speeds) * np.array([1.0 + int(str(file)) for file in members])

    monkeypatch.setattr(sweep_module, "_time", timed)
    found = measure_sweep(files, yardsticks=(0, 3), rng=rng(), repeats=8)
    assert all(group[:2] == [files[0], files[3]] for group in groups)
    assert groups[0] != groups[2]
    assert found.ms / found.ms[0] == pytest.approx(np.arange(1.0, len(files) + 1))
    assert 1.0 <= found.ms[0] <= 1.5
    assert found.level_pct == pytest.approx(100 * (1.5**0.5 - 1))
    assert found.noise_pct == pytest.approx(0.0, abs=1e-9)


def test_what_a_round_does_to_all_files_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.geomspace(1.0, 20.0, 10)[:, None]
    of_round = np.exp(rng().standard_normal(20))
    noise = np.exp(0.05 * rng().standard_normal((10, 20)))
    monkeypatch.setattr(sweep_module, "prepare_call", lambda file, threads: lambda: None)
    monkeypatch.setattr(sweep_module, "interleave", lambda calls, rounds, clock: truth * of_round * noise)
    found = np.log(sweep_module._time([Path("a")] * 10, 1, 20) / truth[:, 0])
    assert found.std() < 0.02


def test_real_files_are_timed(tmp_path: Path) -> None:
    sides = [8 + 4 * index for index in range(GROUP + 3)]
    files = [tiny_file(tmp_path / f"{side}.onnx", ("batch", 3, side, side)) for side in sides]
    found = measure_sweep(files, yardsticks=(0, 3), rng=rng(), repeats=8)
    assert found.ms.shape == (len(files),)
    assert (found.ms > 0).all()
    assert found.level_pct >= 0
    assert found.noise_pct >= 0


def test_yardsticks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "AGAIN_SECONDS", 0.05)
    files = [tiny_file(tmp_path / f"{side}.onnx", ("batch", 3, side, side)) for side in (8, 256)]
    small, large = time_again(files)
    assert 0 < small < large


def test_yardsticks_are_a_small_and_a_large_subnet() -> None:
    macs = rng().permutation(np.arange(100))
    assert macs[yardsticks_among(macs)].tolist() == [24, 74]
    assert yardsticks_among(macs[:2]) in ([0], [1])
