"""A kit, measured by a program that has nothing but numpy and onnxruntime, and the model that follows."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latency_files import CLASSES, Stored

from anas_zoo.core.errors import ConfigError, OutputError, ProfileError
from anas_zoo.pipeline.latency import TimedFiles, check_latency, compare_here
from anas_zoo.pipeline.latency_kit import KitRecord, fit_measured, write_kit
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.space import Architecture, SearchSpace

NEEDED = ("numpy", "numpy.libs", "onnxruntime", "flatbuffers", "google", "packaging")  # onnxruntime's too
COUNT = 24


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("latency"))


@pytest.fixture(scope="module")
def kit(stored: Stored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kit whose files were not exported but taken from what is stored."""
    out = tmp_path_factory.mktemp("kit") / "kit"

    def taken(files: TimedFiles, archs: list[Architecture]) -> list[Path]:
        shutil.copytree(TimedFiles(stored.space, CLASSES, stored.work).folder, files.folder)
        return [files.folder / f"{arch.id}.onnx" for arch in archs]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedFiles, "of", taken)
        write_kit(stored.space, out, num_classes=CLASSES, subnets=20, held_out=4)
    return out


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages in which there are numpy and onnxruntime only."""
    folder = tmp_path_factory.mktemp("bare")
    for name in NEEDED:
        spec = importlib.util.find_spec(name.removesuffix(".libs"))
        assert spec is not None
        assert spec.submodule_search_locations
        place = Path(next(iter(spec.submodule_search_locations)))
        place = place.with_name(name)
        if place.exists():
            (folder / name).symlink_to(place)
    return folder


def measure(kit: Path, bare: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(kit / "measure.py"), *map(str, args)]
    environment = {"PYTHONPATH": str(bare), "PATH": os.environ["PATH"]}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=kit.parent
    )


@pytest.fixture(scope="module")
def results(kit: Path, bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("results") / "results.json"
    done = measure(kit, bare, "--repeats", "8", "--out", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "anas latency fit --measured results.json --out latency.json"
    return file


def changed(results: Path, folder: Path, **changes: Any) -> Path:
    content = json.loads(results.read_text()) | changes
    (folder / "changed.json").write_text(json.dumps(content))
    return folder / "changed.json"


def test_the_kit_is_whole(kit: Path, stored: Stored) -> None:
    record = KitRecord.model_validate_json((kit / "kit.json").read_text())
    assert record.id == record.hashed()
    assert len(record.archs) == len(record.files) == COUNT
    names = {"kit.json", "measure.py", "timing.py", "device.py", "README.txt", "models"}
    assert {path.name for path in kit.iterdir()} == names
    assert {f"models/{path.name}" for path in (kit / "models").iterdir()} >= set(record.files)
    assert Architecture.from_dict(record.archs[0]) == stored.space.smallest
    assert "measure.py" in (kit / "README.txt").read_text()


def test_the_device_has_neither_torch_nor_us(bare: Path) -> None:
    for name in ("torch", "anas_zoo", "pydantic", "onnx"):
        command = [sys.executable, "-S", "-c", f"import {name}"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(bare)}, cwd=bare
        )
        assert "ModuleNotFoundError" in done.stderr


def test_results_become_the_model_of_the_device(results: Path, stored: Stored, tmp_path: Path) -> None:
    model, found = fit_measured(results, stored.space)
    assert model.record.kit == found.kit.id
    assert model.error.subnets == 4
    assert [one.ms for one in model.record.measured] == list(found.ms)
    assert np.isfinite(model([stored.space.largest])).all()
    model.save(tmp_path / "m.json")
    again = LatencyModel.load(tmp_path / "m.json", stored.space)
    assert again.record == model.record
    # Of another device, whatever this one is: neither compared with it nor checked on it.
    there = again.record.fingerprint.model_copy(update={"cpu": "Abacus 2000"})
    elsewhere = LatencyModel(again.record.model_copy(update={"fingerprint": there}))
    assert elsewhere.foreign() is None
    assert compare_here(elsewhere).factor == 1
    assert compare_here(elsewhere).in_words().startswith("as measured on the device itself, with bars of ")
    with pytest.raises(ProfileError, match="of another device, Abacus 2000"):
        check_latency(elsewhere, 3, tmp_path / "work")


def test_results_that_are_not_the_kits_are_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is of a kit of the space 'tiny'"):
        fit_measured(results, SearchSpace.load("digits"))
    content = json.loads(results.read_text())
    with pytest.raises(ConfigError, match="has no results of a latency kit"):
        fit_measured(changed(results, tmp_path, format="something else"))
    with pytest.raises(ConfigError, match="23 values for the kit's 24 networks"):
        fit_measured(changed(results, tmp_path, ms=content["ms"][1:]))
    with pytest.raises(ConfigError, match="kit was changed after it was made"):
        fit_measured(changed(results, tmp_path, kit=content["kit"] | {"seed": 1}))
    with pytest.raises(ConfigError, match="ms"):
        fit_measured(changed(results, tmp_path, ms=[0.0, *content["ms"][1:]]))


def test_the_program_says_what_is_wrong_in_one_line(
    kit: Path, bare: Path, results: Path, tmp_path: Path
) -> None:
    part = Path(shutil.copytree(kit, tmp_path / "part"))
    for file in list((part / "models").iterdir())[:5]:
        file.unlink()
    broken = Path(shutil.copytree(kit, tmp_path / "broken"))
    for file in (broken / "models").iterdir():
        file.write_bytes(b"nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, packages, args, said in (
        (part, bare, (), "files are missing"),
        (kit, bare, ("--repeats", "3"), "--repeats 8"),
        (kit, bare, ("--out", results), "exists already"),
        (kit, bare, ("--out", tmp_path / "nowhere" / "r.json"), "is no folder"),
        (broken, bare, ("--repeats", "8"), "measuring failed"),
        (kit, empty, (), "numpy is missing; run: pip install numpy onnxruntime"),
    ):
        done = measure(folder, packages, *args)
        assert done.returncode in (1, 2)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    (part / "kit.json").write_text("{")
    assert "copy the whole folder" in measure(part, bare).stderr


def test_a_kit_is_not_written_over(stored: Stored, kit: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_kit(stored.space, kit, num_classes=CLASSES, subnets=20, held_out=4)
    with pytest.raises(ConfigError, match=r"give one of ort-cpu-fp32, .*ort-vnni-int8, not litert-int8"):
        write_kit(stored.space, tmp_path / "other", num_classes=CLASSES, target="litert-int8")
    with pytest.raises(ProfileError, match="too few for 12 kinds of work"):
        write_kit(stored.space, tmp_path / "other", num_classes=CLASSES, subnets=3, held_out=4)
    assert not (tmp_path / "other").exists()


def test_the_target_is_part_of_a_kit_and_of_its_model(stored: Stored, kit: Path, tmp_path: Path) -> None:
    record = KitRecord.model_validate(json.loads((kit / "kit.json").read_text()))
    assert record.target == "ort-cpu-fp32"
    other = record.model_copy(update={"target": "ort-cpu-int8"})
    assert other.hashed() != record.id
    assert "target" not in record.model_dump(mode="json"), "kits of before there was a choice keep their id"
