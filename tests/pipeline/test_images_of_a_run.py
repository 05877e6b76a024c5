"""What a run sees of its images when it begins, how it splits them, and which part of them it shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from letters import quick, write_letters
from tiny_recipe import tiny_recipe

from anas_zoo.core.errors import DataError
from anas_zoo.data import FolderSource, SplitRecipe, eval_tensor
from anas_zoo.data.sources import cropped_as_imagenet
from anas_zoo.entry import IMAGENET, WHOLE_IMAGE, Entry
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.recipe import FinetuneRecipe
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.zoo import entry_folder

SMALL = entry_folder("digits_s")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_letters(tmp_path / "images", per_class=8)


def as_before(run: Run) -> Run:
    """``run`` as a version left it that knew neither."""
    marker = json.loads((run.folder / "run.json").read_text())
    del marker["preprocessing"]
    (run.folder / "run.json").write_text(json.dumps(marker))
    (run.folder / "images.json").unlink()
    return Run.open(run.folder)


def test_a_new_run_shows_the_whole_image_and_an_old_one_what_it_showed(images: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    assert run.source.preprocessing == Run.open(run.folder).source.preprocessing == WHOLE_IMAGE
    expected = eval_tensor(FolderSource(images), run.split.test, WHOLE_IMAGE, 8)
    assert torch.equal(run.test_images(8), expected)
    old = as_before(run)
    assert old.source.preprocessing == IMAGENET
    assert Run.start(run.folder, tiny_recipe(data=str(images))).source.preprocessing == IMAGENET
    assert (old.split, old.inspection) == (run.split, run.inspection)
    digits = Run.start(tmp_path / "digits", tiny_recipe())
    assert as_before(digits).source.preprocessing == digits.source.preprocessing
    assert cropped_as_imagenet(digits.source) is digits.source


def test_decoded_images_are_read_in_the_place_of_files(images: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    expected = run.test_images(8)
    run.keep_decoded()
    assert Run.start(run.folder, tiny_recipe(data=str(images))).split == run.split  # it has not begun more
    beside = Run.open(run.folder)  # as another process of the run does
    for file in images.rglob("*.png"):
        file.write_bytes(b"x" * file.stat().st_size)
    for one in (run, beside):
        assert one.source.preprocessing == WHOLE_IMAGE
        assert torch.equal(one.test_images(8), expected)
    shutil.move(images, tmp_path / "moved")
    beside.move_images(str(tmp_path / "moved"))
    assert torch.equal(beside.test_images(8), expected)
    run.drop_decoded()
    with pytest.raises(DataError, match="not an image"):
        Run.open(run.folder).test_images(8)


def test_a_recipe_may_say_what_is_cut_off(images: Path, tmp_path: Path) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images), crop_pct=0.9))
    assert run.source.preprocessing == WHOLE_IMAGE.model_copy(update={"crop_pct": 0.9})
    for name in ("imagenet_1gpu", "imagenet_alphanet", "imagenet_attentivenas"):
        assert Recipe.load(name).crop_pct == IMAGENET.crop_pct
    assert "crop_pct" not in tiny_recipe().to_dict()
    assert Recipe.load("pretrained", init="S").crop_pct == 1


def test_what_was_seen_is_recorded_and_said(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = FolderSource(images).file(0)
    shutil.copyfile(first, images / "O" / "copy.png")
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    record = json.loads(run.images_file.read_text())
    assert record["per_class"] == {"7": 8, "A": 8, "L": 8, "O": 9}
    (copies,) = record["copies"]
    assert copies["files"] == [first.relative_to(images).as_posix(), "O/copy.png"]
    shutil.rmtree(images)  # it is not looked at again
    capsys.readouterr()
    Run.open(run.folder).inspection.lines()
    split = json.loads(run.split_file.read_text())
    assert [len(split[f"{part}_files"]) for part in ("search", "test")] == [
        len(split[part]) for part in ("search", "test")
    ]
    run.note_images()
    text = capsys.readouterr().err
    assert text.startswith("  33 images in 4 classes (smallest: '7', 8), 32×32 pixels; flips: no; nothing")
    assert "  images per class: 7 8, A 8, L 8, O 9\n" in text
    assert "2 files are in several classes with the same content" in text
    assert "few images, 8 in the median class" in text
    assert "parts of the split" not in text


def test_copies_that_an_older_split_put_apart_are_warned_of(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in "7ALO":
        shutil.copyfile(images / label / "0.png", images / label / "copy.png")
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    assert not run.inspection.across(run.split)
    copies = run.inspection.copies[0].images
    split = run.split.model_dump(mode="json") | {"search": [copies[0]], "test": [copies[1]]}
    split = {key: value for key, value in split.items() if not key.endswith("_files")}
    run.split_file.write_text(json.dumps(split))
    Run.open(run.folder).note_images()
    assert "exact copies are in different parts of the split, 1 times" in capsys.readouterr().err


def test_all_that_begins_with_the_same_images_and_seed_splits_them_alike(
    images: Path, tmp_path: Path
) -> None:
    for name in ("own_images", "pretrained"):
        assert Recipe.load(name).split == FinetuneRecipe.load(None, {"data": "d"}).split == SplitRecipe()
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    tuned = FinetuneRun.start(tmp_path / "tuned", quick(images), Entry.read(SMALL))
    assert tuned.split == run.split


def test_what_a_run_published_is_fine_tuned_on_its_split(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.start(tmp_path / "run", tiny_recipe(data=str(images), seed=7))
    for place in ("zoo", "subnets"):
        entry = Path(shutil.copytree(SMALL, run.folder / place / "small"))
        tuned = FinetuneRun.start(tmp_path / place, quick(images), Entry.read(entry))
        assert tuned.split == run.split
        assert f"the images are split as in {run.folder}, which made digits_s" in capsys.readouterr().err
    elsewhere = Path(shutil.copytree(SMALL, tmp_path / "elsewhere"))
    assert FinetuneRun.start(tmp_path / "other", quick(images), Entry.read(elsewhere)).split != run.split
    assert "was tested on" not in capsys.readouterr().err
    FinetuneRun.start(tmp_path / "digits", quick(Path("digits")), Entry.read(elsewhere))
    assert "digits_s was tested on Optical Recognition" in capsys.readouterr().err


def test_a_class_that_is_too_small_is_refused_before_anything_is_read(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in sorted((images / "L").iterdir())[1:]:
        file.unlink()
    (images / "A" / "bad.png").write_bytes(b"none")
    message = "1 image of class 'L'; at least 3 of each class are needed: add images, or remove the class$"
    with pytest.raises(DataError, match=message):
        Run.start(tmp_path / "run", tiny_recipe(data=str(images)))
    with pytest.raises(DataError, match=message):
        Run.start(tmp_path / "run", Recipe.load("own_images", data=str(images)))
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err == ""


def test_a_run_that_gives_way_leaves_nothing_of_its_images(images: Path, tmp_path: Path) -> None:
    Run.start(tmp_path / "run", Recipe.load("own_images", data="digits"))
    run = Run.start(tmp_path / "run", Recipe.load("own_images", data=str(images)))
    assert run.inspection.short_side_px == 32
    assert json.loads(run.images_file.read_text())["per_class"] == {"7": 8, "A": 8, "L": 8, "O": 8}
