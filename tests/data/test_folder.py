from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from image_files import DIGITS, write_digits

from anas_zoo.core.errors import DataError
from anas_zoo.data import FolderSource, SplitRecipe, eval_tensor, make_split, open_source


def in_parts(root: Path, held_out: str = "val", **test: int) -> Path:
    write_digits(root / "train", per_class=3)
    write_digits(root / held_out, **({"per_class": 2, "first": 3} | test))
    return root


def test_a_folder_of_classes(tmp_path: Path) -> None:
    source = open_source(write_digits(tmp_path / "images"))
    assert source.label_names == tuple(f"digit{i}" for i in range(10))
    assert len(source.labels) == 40
    assert source.test_indices is None
    assert source.image(0).size == (24, 24)


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        DIGITS.image(0).save(tmp_path / name)
    source = FolderSource(tmp_path)
    assert [source.file(index).name for index in (0, 1)] == ["a.png", "b.png"]
    assert source.labels.tolist() == [-1, -1]
    assert source.label_names == ()
    with pytest.raises(DataError, match=r"has no class folders, .*one sub-folder of images per class"):
        make_split(source, SplitRecipe(), seed=0)


@pytest.mark.parametrize("held_out", ["val", "Testing"])
def test_imagenets_layout_has_a_test_part(tmp_path: Path, held_out: str) -> None:
    source = FolderSource(in_parts(tmp_path, held_out))
    assert source.test_indices is not None
    assert source.test_indices.tolist() == list(range(30, 50))
    assert source.labels.tolist() == [*np.repeat(range(10), 3), *np.repeat(range(10), 2)]
    for index in (0, 29, 30, 49):
        label = int(source.labels[index])
        members = np.flatnonzero(DIGITS.labels == label)
        number = index % 3 if index < 30 else 3 + index % 2
        expected = DIGITS.image(int(members[number])).resize((24, 24))
        assert source.image(index).tobytes() == expected.tobytes()
    split = make_split(source, SplitRecipe(search_per_class=1), seed=0)
    assert split.test == tuple(range(30, 50))
    assert len(split.search) == 10


def test_of_several_held_out_parts_val_is_the_test_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_parts(tmp_path)
    (tmp_path / "test").mkdir()
    DIGITS.image(0).save(tmp_path / "test" / "unlabelled.png")  # as ImageNet's
    (tmp_path / "notes").mkdir()
    assert len(FolderSource(tmp_path).labels) == 50
    said = "training images are from train; the test part is val; not read: notes, test"
    assert capsys.readouterr().err == f"{tmp_path}: {said}\n"
    in_parts(tmp_path / "flat_val")
    shutil.rmtree(tmp_path / "flat_val" / "val")
    (tmp_path / "flat_val" / "val").mkdir()
    write_digits(tmp_path / "flat_val" / "test", per_class=1)
    assert len(FolderSource(tmp_path / "flat_val").labels) == 40


def test_a_held_out_part_without_classes_is_refused(tmp_path: Path) -> None:
    write_digits(tmp_path / "train", per_class=1)
    (tmp_path / "val").mkdir()
    DIGITS.image(0).save(tmp_path / "val" / "0.png")
    with pytest.raises(DataError, match=r"val has no class folders; .* or give .*train"):
        FolderSource(tmp_path)


def test_parts_of_different_classes_are_refused(tmp_path: Path) -> None:
    in_parts(tmp_path, classes=4)
    extra = tmp_path / "val" / "cat"
    extra.mkdir()
    DIGITS.image(0).save(extra / "0.png")
    message = (
        "train has 10 classes and val has 5, which must be the same; only in train: 'digit4', 'digit5', "
        "'digit6' and 3 more; only in val: 'cat'"
    )
    with pytest.raises(DataError, match=message):
        FolderSource(tmp_path)


@pytest.mark.parametrize("empty", ["train", "val"])
def test_a_part_without_images_is_refused(tmp_path: Path, empty: str) -> None:
    in_parts(tmp_path)
    for file in (tmp_path / empty).rglob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match=f"no images found under .*{empty}"):
        FolderSource(tmp_path)
    shutil.rmtree(tmp_path / empty)
    (tmp_path / empty).mkdir()
    with pytest.raises(DataError, match=rf"{empty} has no class folders; .* to use that part alone"):
        FolderSource(tmp_path)


@pytest.mark.parametrize("names", [("train", "test", "car"), ("val", "cat")])
def test_classes_may_be_called_like_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        DIGITS.image(0).save(tmp_path / name / "0.png")
    source = FolderSource(tmp_path)
    assert source.label_names == tuple(sorted(names))
    assert source.test_indices is None


UNCLEAR = {
    "two spellings": (("Train/a", "train/a", "val/a"), r"'Train' and 'train' are two spellings of the same"),
    "two of the test part": (("train/a", "dev/a", "val/a"), r"'dev' and 'val' are two spellings of the same"),
    "no training part": (
        ("val/a", "test/a"),
        r"'test' has class folders, .*'val' has images; .*test to use it",
    ),
    "train is flat": (
        ("train", "val/a", "val/b"),
        r"train has no class folders; sort .* or give .*val to use",
    ),
    "a class beside train": (("train/a", "train/b", "car"), r"'car' has images; .* rename it where it is a"),
    "flat parts": (("train", "val"), r"'train' and 'val' look like the parts of a collection; call them"),
    "longer names": (
        ("seg_train/a", "seg_test/a", "seg_pred"),
        r"'seg_train' and 'seg_test' look like the par",
    ),
    "parts in classes": (("a/train", "a/val", "b/train"), r"the parts come first, .*: .*/train/a, .*/val/a"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_held_out_images_are_never_taken_for_training(tmp_path: Path, kind: str) -> None:
    folders, message = UNCLEAR[kind]
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        DIGITS.image(0).save(tmp_path / folder / "0.png")
    with pytest.raises(DataError, match=message):
        FolderSource(tmp_path)


@pytest.mark.parametrize("part", ["train", "Test"])
def test_a_part_may_be_alone(tmp_path: Path, part: str) -> None:
    write_digits(tmp_path / part, per_class=1)
    (tmp_path / "notes").mkdir()
    source = FolderSource(tmp_path)
    assert source.label_names == tuple(f"digit{i}" for i in range(10))
    assert source.test_indices is None


def test_the_class_is_the_first_folder(tmp_path: Path) -> None:
    for name in ("cat/2023", "cat/2022", "dog/2023", "cat"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        DIGITS.image(0).save(tmp_path / name / "0.png")
    source = FolderSource(tmp_path)
    assert source.label_names == ("cat", "dog")
    assert source.labels.tolist() == [0, 0, 0, 1]
    write_digits(tmp_path / "parts" / "train" / "cat", per_class=1, classes=2)
    write_digits(tmp_path / "parts" / "val" / "cat", per_class=1, classes=1)
    assert FolderSource(tmp_path / "parts").label_names == ("cat",)


def test_one_class_is_too_few_to_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = FolderSource(write_digits(tmp_path / "images", classes=1))
    with pytest.raises(DataError, match=r"one class, 'digit0'; a classifier needs two or more"):
        make_split(source, SplitRecipe(), seed=0)
    assert FolderSource(tmp_path).label_names == ("images",)
    assert capsys.readouterr().err == ""
    write_digits(tmp_path / "pets" / "images", classes=2)
    FolderSource(tmp_path / "pets")
    assert f"'images'; if the folders in it are the classes, give {tmp_path}/pets/images" in (
        capsys.readouterr().err
    )


def test_what_is_left_out_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_digits(tmp_path / "images", per_class=1)
    for name in ("bird", ".ipynb_checkpoints", "__MACOSX"):
        (root / name).mkdir()
        DIGITS.image(0).save(root / name / "0.png")
    (root / "bird" / "0.png").unlink()
    DIGITS.image(0).save(root / "cover.png")
    for name in (".DS_Store", "Thumbs.db", "0.heic", "0.txt", "1.txt", "LICENSE"):
        (root / "digit0" / name).touch()
    assert FolderSource(root).label_names == tuple(f"digit{i}" for i in range(10))
    assert capsys.readouterr().err == (
        f"{root}: left out: class folders without images (1: bird), files of other formats "
        "(4: .heic, .txt, no suffix), hidden or system files (4), images outside of class folders (1)\n"
    )
    in_parts(tmp_path / "parts")
    for place in ("", "train", "val/digit3"):
        (tmp_path / "parts" / place / ".DS_Store").touch()
        DIGITS.image(0).save(tmp_path / "parts" / place / "cover.webp")
    assert len(FolderSource(tmp_path / "parts").labels) == 51
    assert capsys.readouterr().err == (
        f"{tmp_path}/parts: left out: hidden or system files (2), images outside of class folders (2)\n"
    )


def test_two_parts_may_write_a_class_in_two_encodings(tmp_path: Path) -> None:
    in_parts(tmp_path)
    for part, name in (("train", "caf\u00e9"), ("val", "cafe\u0301")):
        (tmp_path / part / "digit3").rename(tmp_path / part / name)
    source = FolderSource(tmp_path)
    assert source.label_names[0] == "caf\u00e9"
    assert np.bincount(source.labels).tolist() == [5] * 10


@pytest.mark.parametrize("parts", [False, True])
def test_the_fingerprint_sees_a_changed_folder(tmp_path: Path, parts: bool) -> None:
    root = in_parts(tmp_path / "images") if parts else write_digits(tmp_path / "images")
    before = FolderSource(root).fingerprint()
    moved = root.rename(tmp_path / "elsewhere")
    assert FolderSource(moved).fingerprint() == before
    next((moved / "val" / "digit3" if parts else moved / "digit3").iterdir()).unlink()
    assert FolderSource(moved).fingerprint() != before


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    root = write_digits(tmp_path / "images", per_class=1)
    bad = root / "digit0" / "bad.png"
    bad.write_bytes(content)
    source = FolderSource(root)
    with pytest.raises(DataError, match=r"bad\.png"):
        eval_tensor(source, range(len(source.labels)), source.preprocessing, 16)
