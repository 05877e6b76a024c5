from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from letters import write_letters
from PIL import Image
from supernet_folders import write_old_supernet
from tiny_recipe import tiny_recipe

from anas_zoo.core.errors import CheckpointError, DataError
from anas_zoo.core.files import write_json
from anas_zoo.core.schema import read_json
from anas_zoo.data import FolderSource, balanced_choice
from anas_zoo.data.chosen_images import CALIBRATION
from anas_zoo.entry import Entry, SupernetFolder
from anas_zoo.nets import load_supernet
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.extract import extract_more
from anas_zoo.pipeline.train import train_stage
from anas_zoo.training import read_metrics
from anas_zoo.zoo import publish

TRAIN = {
    "epochs": 2,
    "batch_size": 128,
    "subnets_per_step": 3,
    "warmup_epochs": 0.5,
    "sampling": {"prior_draws": 5000, "prior_bins": 20},
    "evaluation": {"every_epochs": 1},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the digits that was trained."""
    run = Run.start(tmp_path_factory.mktemp("trained") / "run", tiny_recipe(train=TRAIN))
    train_stage(run)
    return run


def test_a_trained_run_holds_weights_metrics_and_a_picture(run: Run) -> None:
    assert sorted(path.name for path in run.supernet_folder.iterdir()) == [
        "metrics.jsonl",
        "supernet.json",
        "supernet.safetensors",
        "training.png",
    ]
    evaluations = [r for r in read_metrics(run.supernet_folder) if r["kind"] == "evaluation"]
    assert [r["epoch"] for r in evaluations] == [1, 2]
    assert set(evaluations[0]["top1_pct"]) == {"smallest", "sampled", "largest"}
    assert all(0 <= value <= 100 for r in evaluations for value in r["top1_pct"].values())
    picture = Image.open(run.supernet_folder / "training.png")
    assert min(picture.size) > 500
    colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
    assert colours is not None
    assert len(colours) > 50, "not an empty frame"


def test_the_supernet_of_a_run_is_a_draft_of_its_own(run: Run, tmp_path: Path) -> None:
    found = SupernetFolder.read(run.supernet_folder)
    config = found.config
    assert (config.name, config.num_classes, config.label_names) == ("digits", 10, run.source.label_names)
    assert config.space == run.space.to_dict()
    assert config.preprocessing == run.source.preprocessing
    assert (config.weights.licence, config.weights.lineage) == ("Apache-2.0", ())
    assert config.weights.source.startswith("trained by anas-zoo with the recipe 'digits', seed 0, on ")
    assert config.weights.sha256 == found.sha256("supernet.safetensors")
    last = [r for r in read_metrics(run.supernet_folder) if r["kind"] == "evaluation"][-1]
    assert config.trained["search_split_top1_pct"] == last["top1_pct"]
    assert (config.trained["epochs"], config.trained["images"]) == (2, len(run.split.train))
    published = publish(run.supernet_folder, tmp_path / "digits")
    weights, again = run.supernet.state_dict(), load_supernet(published).state_dict()
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert {path.name for path in published.iterdir()}.isdisjoint({"metrics.jsonl", "training.png"})


def test_a_run_of_version_0_2_has_its_supernet(run: Run, tmp_path: Path) -> None:
    old = Run.open(Path(shutil.copytree(run.folder, tmp_path / "run")))
    shutil.rmtree(old.supernet_folder)
    supernet = write_old_supernet(old.supernet_folder)
    assert torch.equal(old.supernet.classifier.weight, supernet.classifier.weight)
    assert extract_more(old, [old.space.smallest])


@pytest.mark.slow
def test_streamed_images_train_too_and_unreadable_ones_are_counted(tmp_path: Path) -> None:
    images = write_letters(tmp_path / "images", per_class=40)
    stream = {"side": 16, "workers": 2, "auto_augment": ""}
    train = TRAIN | {"loader": "stream", "stream": stream, "batch_size": 16}
    train["evaluation"] = {"calibration_images": 2}

    def start(name: str, limit: int) -> Run:
        changes = train | {"max_unreadable_images": limit}
        return Run.start(tmp_path / name, tiny_recipe(data=str(images), train=changes))

    run, strict = start("run", 10), start("strict", 2)
    measured = balanced_choice(run.split.train, run.source.labels, 2, [run.recipe.seed, CALIBRATION])
    for index in [index for index in run.split.train if index not in measured][5:8]:
        path = FolderSource(images).file(index)
        path.write_bytes(bytes(path.stat().st_size))  # of the same size: found only when it is read
    train_stage(run)
    records = [r for r in read_metrics(run.training_folder) if r["kind"] == "train"]
    assert records[-1]["skipped_images"] == 3
    with pytest.raises(DataError, match=r"3 training images could not be read, 2 may be skipped .*\.png"):
        train_stage(strict)


@pytest.mark.slow
def test_an_unreadable_image_stops_nothing_after_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_letters(tmp_path / "images", per_class=20)
    recipe = tiny_recipe(data=str(images), train=TRAIN | {"batch_size": 16})
    first = Run.start(tmp_path / "first", recipe)
    bad = [first.split.test[1], first.split.search[2], first.split.train[3]]
    files = [FolderSource(images).file(index) for index in bad]
    for file in files:
        file.write_bytes(file.read_bytes()[:-40])
    run = Run.start(tmp_path / "run", recipe)
    assert "2 of 28 held-out images cannot be read and are left out: " in capsys.readouterr().err
    train_stage(run)
    line = "  80 images in 4 classes (smallest: '7', 20), 32×32 pixels; flips: no; nothing else changed\n"
    assert line in capsys.readouterr().err
    assert [r for r in read_metrics(run.training_folder) if r["kind"] == "train"][-1]["skipped_images"] == 1
    assert extract_more(Run.open(run.folder), [run.space.smallest])
    report = Entry.read(run.drafts_folder / f"digits_{run.space.smallest.id}").report
    assert report.accuracy is not None
    assert report.accuracy.images == len(first.split.test) - 1
    FolderSource(images).file(5).unlink()
    with pytest.raises(
        DataError, match=r"have changed since .*split\.json was made \(79 now, 80 then\); put back"
    ):
        _ = Run.open(run.folder).split


def test_a_resume_with_another_space_is_refused_and_the_difference_named(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "supernet")
    space = run.space.to_dict()
    assert space["head"]["width"] == [64, 96]
    space["head"]["width"] = [64, 128]
    write_json(tmp_path / "space.yaml", space)
    marker = read_json(tmp_path / "run" / "run.json")
    marker["recipe"]["space"] = str(tmp_path / "space.yaml")
    write_json(tmp_path / "run" / "run.json", marker)
    again = Run.open(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"space\.head\.width\[1\]: 96 there, 128 here"):
        train_stage(again)


def test_weights_do_not_depend_on_how_often_one_looks(run: Run, tmp_path: Path) -> None:
    recipe = tiny_recipe(train=TRAIN | {"evaluation": {"every_epochs": 2}, "log_every_steps": 2})
    other = Run.start(tmp_path / "run", recipe)
    train_stage(other)
    first, second = (load_supernet(one.supernet_folder).state_dict() for one in (run, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
