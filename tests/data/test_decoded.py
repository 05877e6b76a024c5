"""Images decoded once into a file: the same pixels, and the source itself where there are none."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from numbered_images import write_numbered
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.data import FolderSource, ImageSource, with_preprocessing
from anas_zoo.data import decoded as decoded_module
from anas_zoo.data.decoded import INDEX, PIXELS, is_decoded, with_decoded, write_decoded
from anas_zoo.data.sources import file_of
from anas_zoo.entry import IMAGENET

UNREADABLE = 4


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    """Images of two sizes, one of them transparent in parts, and one unreadable."""
    folder = write_numbered(tmp_path / "images", 9, unreadable=[UNREADABLE])
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(folder.file(1))
    Image.fromarray(pixels[:, :, 0]).save(folder.file(2))
    return FolderSource(tmp_path / "images")


def all_but(source: ImageSource, left_out: int) -> list[int]:
    return [index for index in range(len(source.labels)) if index != left_out]


def without_files(source: FolderSource) -> FolderSource:
    shutil.rmtree(source.name)
    return source


def test_images_are_what_they_were(source: FolderSource, tmp_path: Path) -> None:
    before = {index: source.image(index) for index in all_but(source, UNREADABLE)}
    folder = tmp_path / "decoded"
    assert not is_decoded(folder)
    written = write_decoded(source, range(9), folder)
    assert is_decoded(folder)
    assert written == (folder / PIXELS).stat().st_size == 6 * 12 * 12 * 3 + 20 * 31 * (4 + 3)
    found = with_decoded(source, folder)
    names = [file_of(source, index) for index in range(9)]
    fingerprint = source.fingerprint()
    assert found.fingerprint() == fingerprint
    with pytest.raises(DataError, match=r"004\.png"):  # in the words of the source
        found.image(UNREADABLE)
    without_files(source)
    for changed in (found, pickle.loads(pickle.dumps(found)), with_preprocessing(found, IMAGENET)):
        assert [file_of(changed, index) for index in range(9)] == names
        for index, image in before.items():
            assert changed.image(index).mode == image.mode
            assert np.array_equal(np.asarray(changed.image(index)), np.asarray(image))
    assert (before[1].mode, before[2].mode) == ("RGBA", "RGB")


def test_what_has_no_room_is_read_as_before(
    source: FolderSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded_module, "MAX_BYTES", 2 * 12 * 12 * 3 + 1)
    assert write_decoded(source, [8, 7, 6, 5], tmp_path / "decoded") == 2 * 12 * 12 * 3
    found = with_decoded(source, tmp_path / "decoded")
    for index in (8, 7, 6, 5, 0):
        assert np.array_equal(np.asarray(found.image(index)), np.asarray(source.image(index)))
    without_files(source)
    found.image(8)
    with pytest.raises(DataError):
        found.image(6)


def test_a_damaged_folder_is_none(source: FolderSource, tmp_path: Path) -> None:
    folder = tmp_path / "decoded"
    assert with_decoded(source, folder) is source
    write_decoded(source, range(9), folder)
    other = write_numbered(tmp_path / "other", 6)
    assert with_decoded(other, folder) is other  # of another number of images
    whole = (folder / PIXELS).read_bytes()
    (folder / PIXELS).write_bytes(whole[:-1])
    assert with_decoded(source, folder) is source
    (folder / PIXELS).write_bytes(whole)
    assert with_decoded(source, folder) is not source
    (folder / INDEX).write_bytes(b"nothing")
    assert with_decoded(source, folder) is source
    write_decoded(source, [], folder)
    assert with_decoded(source, folder) is source
