"""Every stage that reads images finds them from any folder, and takes --data where they have moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from command_line import refused, succeeded
from letters import write_letters

from anas_zoo.core.errors import OutputError
from anas_zoo.entry import Entry
from anas_zoo.nets import Supernet
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.recipe import FinetuneRecipe
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.zoo.shelf import entry_folder

RECIPE = {
    "name": "mine",
    "space": "digits",
    "data": "replaced by --data",
    "licence": "CC-BY-4.0",
    "threads": 1,
    "train": {
        "epochs": 1,
        "batch_size": 8,
        "subnets_per_step": 3,
        "warmup_epochs": 0,
        "sampling": {"prior_draws": 2000, "prior_bins": 10},
    },
    "search": {"algorithm": "random", "evaluations": 3, "calibration_images": 16, "subnets": 1},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run on its images, begun in it by relative names."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(folder)
    write_letters(Path("images"), per_class=8)
    Path("mine.yaml").write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return folder


def with_supernet(project: Path) -> Path:
    """The run of the project, with a supernet that nobody trained."""
    run = Run.start(Path("run"), Recipe.load("mine.yaml", data="images"))
    supernet = Supernet(run.space, 4, generator=torch.Generator().manual_seed(0))
    run.write_supernet(run.supernet_folder, supernet)
    return project / "run"


def place(run: Path) -> str | None:
    found = json.loads((run / "run.json").read_text()).get("images")
    return found if found is None else str(found)


@pytest.mark.slow
def test_each_stage_is_told_of_moved_images_and_those_after_it_know(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_supernet(project)
    monkeypatch.chdir(project.parent / "elsewhere")
    write_letters(Path("others"), per_class=9)
    where = str(project / "images")

    def move(name: str) -> str:
        nonlocal where
        shutil.move(where, name)
        where = str(Path.cwd() / name)
        return name

    succeeded(capsys, "search", run, "--device", "cpu")  # from any folder, without a word
    move("one")
    for words in (
        ("search", run, "--device", "cpu", "--resume"),
        ("extract", run),
    ):
        assert "say where they are now: --data DIR" in refused(capsys, *words)
        assert "others does not hold the images" in refused(capsys, *words, "--data", "others")
    succeeded(capsys, "search", run, "--device", "cpu", "--resume", "--data", "one")
    assert place(run) == where
    succeeded(capsys, "extract", run, "--data", move("two"))
    draft = run / "subnets" / "mine_0"
    move("three")
    assert "others does not hold the images" in refused(capsys, "export", draft, "--data", "others")
    succeeded(capsys, "export", draft, "--data", "three")
    assert place(run) == where
    move("four")
    assert "say where they are now" in refused(capsys, "validate", draft)
    succeeded(capsys, "validate", draft, "--data", "four")
    assert place(run) == where
    move("five")
    assert "say where they are now" in refused(capsys, "evaluate", draft, "--device", "cpu")
    measured = json.loads(succeeded(capsys, "evaluate", draft, "--data", "five", "--device", "cpu", "--json"))
    assert measured["accuracies"][0]["split"] == "test"
    assert measured["accuracies"][0]["images"] == len(json.loads((run / "split.json").read_text())["test"])
    # Other images are measured too, as those of no run.
    other = json.loads(succeeded(capsys, "evaluate", draft, "--data", "others", "--device", "cpu", "--json"))
    assert other["accuracies"][0]["split"] == "all"


def test_data_where_there_is_no_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a draft of a run" in refused(capsys, "validate", "digits_s", "--data", "images")
    words = ("search", "--space", "digits", "--predictor", "p.onnx", "--data", "images")
    assert "--data goes with the folder of a run" in refused(capsys, *words)


@pytest.mark.slow
def test_a_training_is_resumed_with_moved_images(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "--out", "run", "--device", "cpu")
    succeeded(capsys, *words, "--recipe", "mine.yaml", "--data", "images", "--seed", "4")
    weights = Path("run/supernet/supernet.safetensors").read_bytes()
    shutil.rmtree("run/supernet")  # as if it had been stopped at its end
    shutil.move("images", project.parent / "moved")
    assert "say where they are now" in refused(capsys, *words, "--resume")
    # The recipe may be named again; what is not said stays as it was begun with.
    again = (*words, "--recipe", "mine.yaml", "--resume")
    said = refused(capsys, *again, "--data", "../moved", "--set", "train.epochs=2")
    assert "another recipe" in said
    assert "train.epochs: 1 there, 2 here" in said
    assert "leave out what differs to resume it as it was begun" in said
    assert "trained" in succeeded(capsys, *again, "--data", "../moved")
    assert Path("run/supernet/supernet.safetensors").read_bytes() == weights
    monkeypatch.chdir(project.parent)
    shutil.rmtree("project/run/supernet")
    assert "trained" in succeeded(capsys, "train", "--out", "project/run", "--device", "cpu", "--resume")
    assert Path("project/run/supernet/supernet.safetensors").read_bytes() == weights


def test_a_repeated_demo_needs_nothing_but_its_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = with_supernet(project)
    wanted = Run.recipe_for(run, None)
    assert wanted == Recipe.load("mine.yaml", data="images")
    assert Run.recipe_for(run, "mine.yaml") == wanted  # the images as they were given
    assert Run.recipe_for(Path("new"), None) == Recipe.load("digits")
    (run / "summary.json").write_text("{}")
    (run / "zoo").mkdir()
    monkeypatch.chdir(project.parent)
    assert "already holds this run, finished" in refused(capsys, "demo", "--out", run)
    assert "another recipe" in refused(capsys, "demo", "--out", run, "--seed", "9")
    assert "another recipe" in refused(capsys, "demo", "--out", run, "--recipe", "digits")


def test_a_fine_tuning_is_resumed_with_moved_images(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry.read(entry_folder("digits_s"))
    recipe = FinetuneRecipe.load(changes={"data": "images"})
    split = FinetuneRun.start(Path("run"), recipe, entry).split
    Path("run/training").mkdir()  # it has begun
    shutil.move("images", "moved")
    moved = FinetuneRecipe.load(changes={"data": "moved"})
    assert FinetuneRun.start(Path("run"), moved, entry).split == split
    monkeypatch.chdir(project.parent)
    run = FinetuneRun.open(project / "run")
    assert run.split == split
    assert run.recipe == recipe
    own = run.origin.preprocessing
    assert run.source.preprocessing == own.model_copy(update={"transparency": "white"})
    with pytest.raises(OutputError, match="holds a run of another recipe"):
        FinetuneRun.start(project / "run", FinetuneRecipe.load(changes={"data": "moved", "seed": 2}), entry)
