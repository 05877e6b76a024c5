from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_latency import tiny_file

from anas_zoo.profiling import sweep as sweep_module
from anas_zoo.profiling.sweep import measure_sweep, time_again, yardsticks_among
from anas_zoo.profiling.timing import GROUP


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
