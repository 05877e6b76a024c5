from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from command_line import refused, succeeded

from anas_zoo.searching import Archive, Evaluation
from anas_zoo.searching.archive import Failure
from anas_zoo.space import AccuracyPredictor, SearchSpace

DIGITS = SearchSpace.load("digits")
RIDGE = ("--model", "ridge")


def write_search(folder: Path, *, count: int = 60, seed: int = 0, space: SearchSpace = DIGITS) -> Path:
    """The files of a search, its accuracies by a rule: more pixels and a wider head are better."""
    folder.mkdir(parents=True)
    archs = space.decode(space.sample_codes(np.random.default_rng(seed), count))
    with Archive(folder / "evaluations.jsonl") as archive:
        for arch in archs:
            archive.add([Evaluation(arch, 1000, 100, 60 + arch.resolution + arch.width[-1] / 40, images=50)])
    about = {"algorithm": "evolution", "space": {"name": space.name, "id": space.id}, "front": []}
    (folder / "front.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def search(tmp_path: Path) -> Path:
    return write_search(tmp_path / "search")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from anas_zoo.cli import main

    folder = tmp_path_factory.mktemp("fitted")
    found = write_search(folder / "search")
    assert main(["predictor", "fit", str(found), "--out", str(folder / "p.onnx"), *RIDGE]) == 0
    return folder / "p.onnx"


def test_fit_reports_what_it_never_saw(
    search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.onnx"
    text = succeeded(capsys, "predictor", "fit", search, "--out", out, *RIDGE)
    assert "ridge, held out " in text
    assert f"ridge, fitted on all 60 architectures: {out}" in text
    assert f"anas search --space digits --predictor {out}" in text
    again = tmp_path / "again.onnx"
    data = json.loads(succeeded(capsys, "predictor", "fit", search, "--out", again, *RIDGE, "--json"))
    assert (data["model"], data["fitted_archs"], data["held_out"]["archs"]) == ("ridge", 60, 12)
    assert data["held_out"]["kendall_tau"] > 0.8
    assert (data["space"]["id"], data["failed_evaluations"]) == (DIGITS.id, 0)
    assert out.read_bytes() == again.read_bytes()
    predicted = AccuracyPredictor(out, DIGITS)([DIGITS.smallest, DIGITS.largest])
    assert predicted[1] - predicted[0] > 4


def test_failed_evaluations_are_counted(
    search: Path, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(9)
    with Archive(search / "evaluations.jsonl") as archive:
        archive.add(
            Failure(arch, 1000, 100, "out of memory") for arch in DIGITS.decode(DIGITS.sample_codes(rng, 3))
        )
    out = tmp_path / "p.onnx"
    text = succeeded(capsys, "predictor", "fit", search, "--out", out, *RIDGE)
    assert "fitted on all 60 architectures (3 failed evaluations left out)" in text
    said = {item.key: item.value for item in onnx.load(out).metadata_props}
    assert (said["evaluations"], said["failed_evaluations"]) == ("60", "3")
    checked = json.loads(succeeded(capsys, "predictor", "check", fitted, search, "--json"))
    assert (checked["failed_evaluations"], checked["all"]["archs"]) == (3, 60)


def test_the_archive_may_be_named_in_three_ways(
    search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(search, run / "search")
    (run / "run.json").write_text(json.dumps(digits_run()))
    alone = shutil.copy(search / "evaluations.jsonl", tmp_path / "alone.jsonl")
    ways = [(search,), (search / "evaluations.jsonl",), (run,), (alone, "--space", "digits")]
    for number, way in enumerate(ways):
        succeeded(capsys, "predictor", "fit", *way, "--out", tmp_path / f"{number}.onnx", *RIDGE)
    assert len({(tmp_path / f"{number}.onnx").read_bytes() for number in range(len(ways))}) == 1


def digits_run() -> dict[str, object]:
    from anas_zoo.pipeline import Recipe

    return {"format": 1, "recipe": Recipe.load("digits").to_dict()}


def test_check_on_another_archive(fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_search(tmp_path / "other", seed=5)
    text = succeeded(capsys, "predictor", "check", fitted, other)
    assert "not fitted on " in text
    assert "ridge, fitted on 60 architectures" in text
    data = json.loads(succeeded(capsys, "predictor", "check", fitted, other, "--json"))
    assert data["unseen"]["archs"] == 60
    assert data["unseen"]["kendall_tau"] > 0.8
    assert abs(data["unseen"]["bias_pct"]) < 0.5
    assert data["seen"] is None
    assert data["metadata"]["space_id"] == DIGITS.id


def test_check_without_an_archive(fitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeded(capsys, "predictor", "check", fitted, "--space", "digits")
    assert "for 2000 random architectures" in text
    data = json.loads(succeeded(capsys, "predictor", "check", fitted, "--space", "digits", "--json"))
    said = data["predicted_pct"]
    assert said["random_min"] < said["random_median"] < said["random_max"]
    assert said["largest"] - said["smallest"] > 4


def test_a_space_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = SearchSpace.from_dict({**DIGITS.to_dict(), "name": "own", "resolution": [6, 8, 10]})
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(own.to_dict()))
    search, out = write_search(tmp_path / "search", space=own), tmp_path / "p.onnx"
    assert "'own', which no preset is; give its file with --space" in refused(
        capsys, "predictor", "fit", search, "--out", out, *RIDGE
    )
    succeeded(capsys, "predictor", "fit", search, "--out", out, "--space", file, *RIDGE)
    assert AccuracyPredictor(out, own).metadata["space"] == "own"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--held-out", "0.9"], "above 0 and at most 0.5, not 0.9"),
        (["--model", "rigde"], "no predictor model 'rigde' (did you mean 'ridge'?)"),
        (["--space", "glyphs"], "is an archive of the space 'digits'"),
    ],
)
def test_fit_refuses_wrong_options(
    options: list[str], said: str, search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.onnx"
    assert said in refused(capsys, "predictor", "fit", search, "--out", out, *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["search"]


def test_fit_refuses_what_is_no_archive(
    search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "p.onnx")
    assert "no archive at" in refused(capsys, "predictor", "fit", tmp_path / "nowhere", *out)
    assert "no archive at" in refused(capsys, "predictor", "fit", tmp_path, *out)
    (search / "front.json").unlink()
    text = refused(capsys, "predictor", "fit", search, *out)
    assert "names its space; give --space: attentive_nas, attentive_nas_lite, digits" in text
    (tmp_path / "run.json").write_text(json.dumps(digits_run()))
    shutil.rmtree(search)
    assert "has no search yet; first: anas search" in refused(capsys, "predictor", "fit", tmp_path, *out)
    damaged = write_search(tmp_path / "damaged")
    with (damaged / "evaluations.jsonl").open("a") as file:
        file.write('{"arch": ')
    assert "line 61: cut in the middle of a line" in refused(capsys, "predictor", "fit", damaged, *out)
    few = write_search(tmp_path / "few", count=12)
    assert "12 different architectures are too few" in refused(capsys, "predictor", "fit", few, *out)
    assert not out[1].exists()


def test_check_refuses_what_does_not_belong_together(
    fitted: Path, search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give an ARCHIVE" in refused(capsys, "predictor", "check", fitted, code=2)
    other = refused(capsys, "predictor", "check", fitted, "--space", "attentive_nas")
    assert "fitted on a space of 15 genes, 'attentive_nas' has 31" in other
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(fitted.read_bytes()[:1000])
    assert "not an ONNX file" in refused(capsys, "predictor", "check", damaged, search)
    assert "no predictor at" in refused(capsys, "predictor", "check", tmp_path / "none.onnx", search)
