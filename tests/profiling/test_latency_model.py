from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latency_records import COEFFICIENTS, model_of, works_of
from test_latency import tiny_file

from anas_zoo.core.errors import ConfigError, SpaceError
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.machine import describe_machine, fingerprint
from anas_zoo.profiling.work import NEWER
from anas_zoo.space import Architecture, SearchSpace

SPACE = SearchSpace.load("digits")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "latency.json"
    model_of(SPACE).save(path)
    return path


@pytest.mark.parametrize("name", ["digits", "attentive_nas", "tiny"])
def test_a_prediction_is_the_sum_over_the_work(name: str) -> None:
    space = SearchSpace.load(name)
    model = model_of(space, num_classes=100)
    ends = space.encode([space.smallest, space.largest])
    codes = np.concatenate([ends, space.sample_codes(np.random.default_rng(0), 20)])
    found = model(codes)
    assert found.dtype == np.float64
    assert found == pytest.approx(works_of(space, codes, 100) @ COEFFICIENTS, rel=1e-9)
    assert (model(space.decode(codes)) == found).all()
    assert model(codes[:0]).shape == (0,)


def test_what_was_saved_is_loaded(file: Path) -> None:
    model = LatencyModel.load(file, SPACE)
    assert model.record == model_of(SPACE).record
    assert model.space.id == SPACE.id
    assert model.error.verdict == "met"
    assert model.error.subnets == 100
    assert model.foreign() is None
    assert model.unrest is None


def test_a_file_from_before_a_kind_of_work_is_loaded(file: Path) -> None:
    data = json.loads(file.read_text())
    for name in NEWER:
        del data["coefficients"][name]
    file.write_text(json.dumps(data))
    codes = SPACE.sample_codes(np.random.default_rng(0), 20)
    assert (LatencyModel.load(file, SPACE)(codes) == model_of(SPACE)(codes)).all()


def test_codes_outside_the_space_are_refused() -> None:
    model = model_of(SPACE)
    codes = SPACE.encode([SPACE.smallest])
    codes[0, 0] = 7
    with pytest.raises(SpaceError, match="resolution is 7, allowed: 6, 8, 10, 12"):
        model(codes)
    with pytest.raises(SpaceError, match="integers of shape"):
        model(codes.astype(np.float64))


def test_the_speed_of_the_machine_widens_the_bars_and_is_said() -> None:
    quiet, busy = (model_of(SPACE, times=(0.9, 1.0, 1.1), level_pct=level) for level in (0.0, 50.0))
    assert quiet.bars.factors == pytest.approx((0.9, 1.1))
    assert busy.bars.factors == pytest.approx((0.6, 1.65))
    assert busy.unrest == "the same files took up to 50 % more or less from moment to moment"
    calm = model_of(SPACE, level_pct=50.0)
    assert (calm.error.median_abs_pct, calm.error.verdict) == (0.0, "too noisy to say")


def test_the_yardsticks_are_a_small_and_a_large_subnet() -> None:
    model = model_of(SPACE)
    archs = [Architecture.from_dict(one.arch) for one in model.record.measured]
    small, large = (Architecture.from_dict(one.arch) for one in model.yardsticks)
    spread = np.sort(SPACE.macs(archs, 10))
    assert SPACE.macs([small, large], 10).tolist() == [spread[24], spread[74]]


def test_another_machine_is_warned_of() -> None:
    record = model_of(SPACE).record
    there = record.fingerprint.model_copy(update={"cpu": "Abacus 2000", "runtime": "onnxruntime 0.1"})
    warning = str(LatencyModel(record.model_copy(update={"fingerprint": there})).foreign())
    assert "cpu: 'Abacus 2000' there, " in warning
    assert "runtime: 'onnxruntime 0.1' there, " in warning


def test_the_fingerprint_is_the_machine_that_reports_describe() -> None:
    assert fingerprint(3).threads == 3
    assert fingerprint(3).describe() == describe_machine()


def change_of(*keys: str, value: Any = None, name: str | None = None) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        old = data.pop(keys[-1])
        if name is not None or value is not None:
            data[name or keys[-1]] = old if value is None else value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_of("format"), "is not a latency model"),
        (
            change_of("format", value="anas latency model 1"),
            "of an earlier version; make one on this machine",
        ),
        (change_of("coefficients", "block"), "no coefficient for block"),
        (change_of("coefficients", "block", name="blocks"), r"'blocks' \(did you mean 'block'\?\)"),
        (change_of("coefficients", "block", value=-1.0), "coefficients.block: "),
        (change_of("num_classes", name="num_clases"), r"did you mean 'num_classes'\?"),
        (change_of("measured", value=[]), "fewer than 2 held-out subnets"),
    ],
)
def test_a_damaged_file_is_refused(file: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=said) as caught:
        LatencyModel.load(file, SPACE)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_no_model_and_another_space(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no latency model at .*: anas latency fit --space digits"):
        LatencyModel.load(tmp_path / "absent.json", SPACE)
    with pytest.raises(ConfigError, match=r"fitted on the space 'digits' .* this is 'glyphs'"):
        LatencyModel.load(file, SearchSpace.load("glyphs"))
    file.write_text("[]")
    with pytest.raises(ConfigError, match=r"latency\.json is not a latency model"):
        LatencyModel.load(file)


def test_predicting_and_running_a_file_need_no_torch(file: Path, tmp_path: Path) -> None:
    onnx_file = tiny_file(tmp_path / "a.onnx")
    code = (
        "import sys; from pathlib import Path; from anas_zoo.profiling import open_session; "
        f"from anas_zoo.profiling.latency_model import LatencyModel; open_session(Path({str(onnx_file)!r})); "
        f"m = LatencyModel.load({str(file)!r}); m([m.space.smallest]); m.foreign(); m.bars; "
        "assert not {'torch', 'timm', 'fvcore', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_another_number_of_classes_changes_the_classifier_alone(file: Path) -> None:
    codes = SPACE.sample_codes(np.random.default_rng(0), 20)
    ten, more = LatencyModel.load(file), LatencyModel.load(file, num_classes=47)
    assert more(codes) == pytest.approx(model_of(SPACE, num_classes=47)(codes))
    assert (more(codes) > ten(codes)).all()
    assert more.bars == ten.bars
