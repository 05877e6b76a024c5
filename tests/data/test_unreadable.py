from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numbered_images import write_numbered
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.data import DigitsSource, FolderSource, ImageSource, Split, SplitRecipe, make_split
from anas_zoo.data.unreadable import numbered_as, without_unreadable

COUNT = 60


def damage(source: FolderSource, indices: Iterable[int]) -> None:
    """Cut files off without changing which images there are."""
    for index in indices:
        file = source.file(index)
        file.write_bytes(file.read_bytes()[:-30])


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    return write_numbered(tmp_path / "images", COUNT)


def split_of(source: ImageSource) -> Split:
    return make_split(source, SplitRecipe(), seed=0)


def started(folder: FolderSource) -> tuple[FolderSource, Split, list[int]]:
    """A folder with two damaged held-out images, its split, and which they are."""
    bad = [split_of(folder).search[1], split_of(folder).test[2]]
    damage(folder, bad)
    source = FolderSource(Path(folder.name))
    return source, without_unreadable(source, split_of(source), limit=2), bad


def test_images_that_cannot_be_read_are_in_no_part(
    source: FolderSource, capsys: pytest.CaptureFixture[str]
) -> None:
    before = split_of(source)
    source, split, bad = started(source)
    assert set(split.search) == set(before.search) - set(bad)
    assert set(split.test) == set(before.test) - set(bad)
    assert split.train == before.train
    assert [image.index for image in split.unreadable] == sorted(bad)
    assert [image.file for image in split.unreadable] == [
        f"class{i * 3 // COUNT}/{i:03d}.png" for i in sorted(bad)
    ]
    (line,) = capsys.readouterr().err.splitlines()
    held_out = len(before.search) + len(before.test)
    assert line.startswith(f"2 of {held_out} held-out images cannot be read and are left out: ")
    assert all(str(source.file(index)) in line for index in bad)
    again = Split.model_validate(split.model_dump(mode="json"))
    assert again == split
    assert again.train == before.train


def test_a_split_of_readable_images_is_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    source = DigitsSource()
    split = split_of(source)
    assert without_unreadable(source, split, limit=0) is split
    assert set(split.model_dump()) == {"source", "source_sha256", "seed", "images", "search", "test"}
    assert capsys.readouterr().err == ""


def test_more_than_may_be_skipped_are_refused(source: FolderSource) -> None:
    split = split_of(source)
    damage(source, split.test[:3])
    with pytest.raises(DataError, match=r"^3 held-out images could not be read, 2 may be skipped .*\.png: "):
        without_unreadable(source, split, limit=2)
    damage(source, split.test[3:])
    with pytest.raises(DataError, match=r"^no image of the test part can be read; the last: .*\.png: "):
        without_unreadable(source, split, limit=100)


def test_a_run_stays_the_same_when_their_files_are_gone(source: FolderSource) -> None:
    source, split, bad = started(source)
    left = [index for index in range(COUNT) if index not in bad]
    pixels = {index: source.image(index).tobytes() for index in left}
    labels = source.labels.copy()
    assert numbered_as(source, split) is source
    for index in bad:  # one after the other: each of them may be there or not
        source.file(index).unlink()
        now = numbered_as(FolderSource(Path(source.name)), split)
        assert now.fingerprint() == split.source_sha256
        assert len(now.labels) == split.images
        assert {i: now.image(i).tobytes() for i in left} == pixels
        assert np.array_equal(now.labels[left], labels[left])
        with pytest.raises(DataError, match=rf"{index:03d}\.png: no such file; it was unreadable when"):
            now.image(index)
    Image.new("RGB", (30, 30)).save(source.file(bad[0]))  # mended: it stays left out
    now = numbered_as(FolderSource(Path(source.name)), split)
    assert {i: now.image(i).tobytes() for i in left} == pixels


def test_other_changes_are_changes(source: FolderSource) -> None:
    source, split, bad = started(source)
    source.file(bad[0]).unlink()
    good = source.file(split.test[0])
    content = good.read_bytes()
    good.write_bytes(content + b"more")
    assert numbered_as(FolderSource(Path(source.name)), split).fingerprint() != split.source_sha256
    good.unlink()
    assert numbered_as(FolderSource(Path(source.name)), split).fingerprint() != split.source_sha256
    good.write_bytes(content)
    assert numbered_as(FolderSource(Path(source.name)), split).fingerprint() == split.source_sha256


def test_a_publishers_test_part_keeps_its_numbers(tmp_path: Path) -> None:
    write_numbered(tmp_path / "images" / "train", 30)
    write_numbered(tmp_path / "images" / "val", 30, side=13)  # no copies of the others
    source = FolderSource(tmp_path / "images")
    split = split_of(source)
    damage(source, [split.search[0], split.test[5]])
    source = FolderSource(tmp_path / "images")
    split = without_unreadable(source, split_of(source), limit=5)
    assert source.test_indices is not None
    wanted = [index for index in source.test_indices if index not in [i.index for i in split.unreadable]]
    for image in split.unreadable:
        source.file(image.index).unlink()
    now = numbered_as(FolderSource(tmp_path / "images"), split)
    assert now.test_indices is not None
    assert now.test_indices.tolist() == wanted
    assert now.image(wanted[0]).tobytes() == source.image(wanted[0]).tobytes()
