from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from image_files import DIGITS, write_digits

from anas_zoo.data import FolderSource, SplitRecipe, eval_tensor, make_split, open_source
from anas_zoo.errors import DataError


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


def test_a_folder_without_classes_is_one_class(tmp_path: Path) -> None:
    DIGITS.image(0).save(tmp_path / "a.png")
    assert len(FolderSource(tmp_path).labels) == 1


@pytest.mark.parametrize("held_out", ["val", "validation", "test"])
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


def test_of_several_held_out_parts_val_is_the_test_part(tmp_path: Path) -> None:
    in_parts(tmp_path)
    (tmp_path / "test").mkdir()
    DIGITS.image(0).save(tmp_path / "test" / "unlabelled.png")  # as ImageNet's
    (tmp_path / "notes").mkdir()
    assert len(FolderSource(tmp_path).labels) == 50
    in_parts(tmp_path / "flat_val")
    shutil.rmtree(tmp_path / "flat_val" / "val")
    (tmp_path / "flat_val" / "val").mkdir()
    write_digits(tmp_path / "flat_val" / "test", per_class=1)
    assert len(FolderSource(tmp_path / "flat_val").labels) == 40


def test_a_held_out_part_without_classes_is_refused(tmp_path: Path) -> None:
    write_digits(tmp_path / "train", per_class=1)
    (tmp_path / "val").mkdir()
    DIGITS.image(0).save(tmp_path / "val" / "0.png")
    with pytest.raises(DataError, match=r"val has no class folders; .* or give .*train") as caught:
        FolderSource(tmp_path)
    assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize("names", [("train", "test", "car"), ("val", "cat")])
def test_classes_may_be_called_like_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        DIGITS.image(0).save(tmp_path / name / "0.png")
    source = FolderSource(tmp_path)
    assert source.label_names == tuple(sorted(names))
    assert source.test_indices is None


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


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "images", per_class=1, side=200)
    file = next((root / "digit5").iterdir())
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=rf"{file.name}: unreadable image"):
        FolderSource(root).image(5)
