from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latency_files import CLASSES, Stored, tiny_space

from anas_zoo.core.errors import ConfigError, ProfileError
from anas_zoo.pipeline.latency import TimedFiles, check_latency, fit_latency
from anas_zoo.profiling import open_session
from anas_zoo.profiling.latency import prepare_call
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.machine import fingerprint
from anas_zoo.space import Architecture, SearchSpace


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("latency"))


def fit(space: SearchSpace, work: Path, **changes: Any) -> LatencyModel:
    numbers = {"num_classes": CLASSES, "subnets": 20, "held_out": 6, "repeats": 8}
    return fit_latency(space, work, **(numbers | changes))


def test_a_fit_on_files_that_are_there(stored: Stored, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in stored.work.rglob("*")}
    model = fit(stored.space, stored.work)
    assert {path: path.stat().st_mtime_ns for path in stored.work.rglob("*")} == before
    record = model.record
    assert [one.part for one in record.measured] == ["fit"] * 20 + ["held out"] * 6
    assert (record.num_classes, model.error.subnets) == (CLASSES, 6)
    assert record.fingerprint == fingerprint(1)
    archs = [Architecture.from_dict(one.arch) for one in record.measured]
    assert len(set(archs)) == 26
    assert model(archs).tolist() == pytest.approx([one.predicted_ms for one in record.measured])
    model.save(tmp_path / "m.json")
    assert LatencyModel.load(tmp_path / "m.json", stored.space).record == record
    assert str(tmp_path) not in json.dumps(record.model_dump(mode="json"))

    error, measured = check_latency(model, 3, stored.work, repeats=8)
    assert error.subnets == len(measured) == 3
    assert not {Architecture.from_dict(one.arch) for one in measured} & set(archs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"repeats": 3}, "repeats must be at least 8, got 3"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"held_out": 1}, "at least 2 held-out subnets, got 1"),
        ({"subnets": 10}, "10 subnets are too few for 12 kinds of work; give at least 13"),
        ({"subnets": 60, "held_out": 80}, "has 128 architectures, 140 were asked for"),
    ],
)
def test_numbers_that_cannot_be_are_refused_before_any_work(
    change: dict[str, int], said: str, tmp_path: Path
) -> None:
    space = SearchSpace.load(tiny_space(tmp_path))
    with pytest.raises(ProfileError, match=said):
        fit(space, tmp_path / "work", **change)
    assert not (tmp_path / "work").exists()


def test_real_files_of_a_real_space(tmp_path: Path) -> None:
    space = SearchSpace.load("digits")
    archs = [space.smallest, space.largest]
    timed = TimedFiles(space, CLASSES, tmp_path / "work")
    files = timed.of(archs)
    assert sorted(files) == sorted(timed.folder.iterdir())
    for arch, file in zip(archs, files, strict=True):
        session = open_session(file)
        side = arch.resolution
        (logits,) = session.run(None, {"image": np.ones((2, 3, side, side), np.float32)})
        assert logits.shape == (2, CLASSES)
        assert np.isfinite(logits).all()


@pytest.mark.parametrize(("target", "ending"), [("ort-cpu-int8", ".onnx"), ("litert-int8", ".tflite")])
def test_int8_files_are_timed_in_their_own_runtime(tmp_path: Path, target: str, ending: str) -> None:
    pytest.importorskip("ai_edge_litert")
    space = SearchSpace.load("digits")
    timed = TimedFiles(space, CLASSES, tmp_path / "work", target)
    (file,) = timed.of([space.smallest])
    assert file.suffix == ending
    assert prepare_call(file)() is not None
    print_ = fingerprint(1, timed.provider)
    assert print_.runtime.startswith("LiteRT" if ending == ".tflite" else "onnxruntime")
    (float_file,) = TimedFiles(space, CLASSES, tmp_path / "work").of([space.smallest])
    assert file.stat().st_size < float_file.stat().st_size
    assert timed.of([space.smallest]) == [file], "it is not exported again"


def test_targets_of_other_runtimes_are_refused(tmp_path: Path) -> None:
    space = SearchSpace.load(tiny_space(tmp_path))
    for target in ("openvino-fp32", "ort-cuda-fp16"):
        with pytest.raises(ConfigError, match=f"run on the CPU, {target} is "):
            fit(space, tmp_path / "work", target=target)
    with pytest.raises(ConfigError, match="no target named 'ort-cpu-int4'"):
        fit(space, tmp_path / "work", target="ort-cpu-int4")
    assert not (tmp_path / "work").exists()
