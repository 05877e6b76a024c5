from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anas_zoo.data import DigitsSource, FolderSource, TrainImages, eval_tensor, open_source
from anas_zoo.errors import DataError


def write_digits(root: Path, per_class: int = 4, side: int = 24) -> Path:
    """A folder of PNG files made from real digits, one sub-folder per class."""
    source = DigitsSource()
    for label in range(10):
        (root / f"digit{label}").mkdir(parents=True)
        for index in np.flatnonzero(source.labels == label)[:per_class]:
            image = source.image(int(index)).resize((side, side))
            image.save(root / f"digit{label}" / f"{index}.png")
    return root


def test_digits_are_the_bundled_scans() -> None:
    source = DigitsSource()
    assert len(source.labels) == 1797
    assert np.bincount(source.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    image = source.image(0)
    assert image.size == (8, 8)
    assert image.mode == "RGB"
    assert np.asarray(image).max() == 239  # 15 of 16 grey levels


def test_eval_tensor_is_what_timm_would_feed() -> None:
    source = DigitsSource()
    images = eval_tensor(source, [0, 1, 2], source.preprocessing, 14)
    assert images.shape == (3, 3, 14, 14)
    assert images.dtype == torch.float32
    assert float(images.min()) >= -1.0
    assert float(images.max()) <= 1.0
    native = eval_tensor(source, [0], source.preprocessing, 8)
    expected = torch.from_numpy(np.asarray(source.image(0)).copy()).permute(2, 0, 1) / 255.0
    assert torch.allclose(native[0], (expected - 0.5) / 0.5, atol=1e-6)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    source = open_source(write_digits(tmp_path / "images"))
    assert source.label_names == tuple(f"digit{i}" for i in range(10))
    assert len(source.labels) == 40
    assert source.image(0).size == (24, 24)


def test_a_folder_without_classes_is_one_class(tmp_path: Path) -> None:
    DigitsSource().image(0).save(tmp_path / "a.png")
    assert len(FolderSource(tmp_path).labels) == 1


def test_the_fingerprint_sees_a_changed_folder(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "images")
    before = FolderSource(root).fingerprint()
    assert FolderSource(root).fingerprint() == before
    next((root / "digit3").iterdir()).unlink()
    assert FolderSource(root).fingerprint() != before


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
    source = FolderSource(root)
    with pytest.raises(DataError, match="unreadable image"):
        TrainImages(source, range(len(source.labels)), source.preprocessing, 32)


def test_unknown_sources_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"did you mean 'digits'"):
        open_source("digit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images found"):
        open_source(tmp_path / "empty")


def test_training_batches_cover_an_epoch_once() -> None:
    source = DigitsSource()
    images = TrainImages(source, range(100), source.preprocessing, 16)
    generator = torch.Generator().manual_seed(0)
    batches = list(images.batches(32, generator))
    assert [len(labels) for _, labels in batches] == [32, 32, 32]
    assert len(batches) == images.batches_per_epoch(32)
    assert batches[0][0].shape == (32, 3, 8, 8)  # kept at their own size, resized by the augmentation
    again = list(images.batches(32, torch.Generator().manual_seed(0)))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, again, strict=True))
    assert len(list(images.batches(1000, generator))) == 1


def test_large_and_oblong_images_are_cut_to_one_side(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (300, 100), (255, 0, 0)).save(tmp_path / "a" / "wide.png")
    Image.new("L", (20, 50), 128).save(tmp_path / "a" / "tall.png")
    source = FolderSource(tmp_path)
    images = TrainImages(source, range(2), source.preprocessing, 32)
    batch, _ = next(images.batches(2, torch.Generator()))
    assert batch.shape == (2, 3, 32, 32)


def test_more_images_than_memory_allows_are_refused(tmp_path: Path) -> None:
    source = DigitsSource()
    with pytest.raises(DataError, match="GiB of memory"):
        eval_tensor(source, range(1797), source.preprocessing, 2000)
