from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import DIGITS
from numbered_images import numbers, write_numbered
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.geometry import Mode
from anas_zoo.data import (
    AugmentationRecipe,
    FolderSource,
    MemoryImages,
    Share,
    StreamedImages,
    StreamRecipe,
    eval_tensor,
    with_preprocessing,
)
from anas_zoo.entry import IMAGENET

SEED = (7, 0)
AS_THEY_ARE = AugmentationRecipe()
STRAYING = AugmentationRecipe(rotation_deg=15, min_scale=0.8, translation_fraction=0.1, flip=True)


def digits(images: int, share: Share, augmentation: AugmentationRecipe = STRAYING) -> MemoryImages:
    return MemoryImages(DIGITS, range(images), side=16, share=share, augmentation=augmentation)


def test_a_set_smaller_than_a_batch_is_one_batch(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 11)

    def shown(share: Share) -> list[list[int]]:
        images = MemoryImages(source, range(11), side=12, share=share, augmentation=AS_THEY_ARE)
        assert images.steps_per_epoch() == 1
        (batches,) = images.epoch(SEED, 0)
        return [numbers(source, batch) for batch in batches]

    (alone,) = shown(Share(64))
    assert sorted(alone) == list(range(11))
    parts = [part for rank in range(2) for part in shown(Share(64, processes=2, rank=rank, accumulation=2))]
    assert [len(part) for part in parts] == [2, 2, 2, 2]
    assert sum(parts, start=list[int]()) == alone[:8]


@pytest.mark.parametrize(("images", "processes", "needed"), [(1, 1, 2), (3, 2, 4)])
def test_a_set_too_small_for_its_parts_is_refused(images: int, processes: int, needed: int) -> None:
    message = rf"{processes} processes × 1 micro-batches .*: {images} can be read, {needed} are needed$"
    with pytest.raises(DataError, match=message):
        digits(images, Share(64, processes))
    assert digits(needed, Share(64, processes)).steps_per_epoch() == 1


def test_small_images_keep_their_size_and_are_normalised() -> None:
    (batch,) = next(digits(30, Share(30), AS_THEY_ARE).epoch(SEED, 0))
    scans = np.stack([np.asarray(DIGITS.image(index)) for index in range(30)]).transpose(0, 3, 1, 2)
    expected = torch.from_numpy(scans) / 127.5 - 1
    view = batch.view(8)  # where they had been blown up to 16, it would be blurred
    assert view.dtype == torch.float32
    assert batch.labels.dtype == torch.int64
    distances = (view[:, None] - expected[None]).abs().flatten(2).amax(2)
    assert distances.min(1).values.max() < 1e-4
    assert sorted(distances.argmin(1).tolist()) == list(range(30))
    assert DIGITS.labels[distances.argmin(1)].tolist() == batch.labels.tolist()
    assert batch.view(8) is view


@pytest.mark.parametrize("resolution", [6, 12, 30])
def test_a_view_has_the_resolution_asked_for(tmp_path: Path, resolution: int) -> None:
    source = write_numbered(tmp_path, 8)
    images = MemoryImages(source, range(8), side=12, share=Share(8), augmentation=STRAYING)
    (batch,) = next(images.epoch(SEED, 0))
    assert batch.view(resolution).shape == (8, 3, resolution, resolution)
    assert sorted(numbers(source, batch, resolution)) == list(range(8))


def middle_view(source: FolderSource, side: int) -> torch.Tensor:
    """The views of a source's images as they are, in 0..255, in the order of the labels."""
    count = len(source.labels)
    images = MemoryImages(source, range(count), side=side, share=Share(count), augmentation=AS_THEY_ARE)
    (batch,) = next(images.epoch(SEED, 0))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (source.preprocessing.mean, source.preprocessing.std))
    return (batch.view(side)[batch.labels.argsort()] * std + mean) * 255


def test_large_and_oblong_images_are_cut_to_one_side(tmp_path: Path) -> None:
    stripes = Image.new("RGB", (300, 100), (255, 0, 0))
    stripes.paste((0, 255, 0), (100, 0, 200, 100))
    for name, image in {
        "a": stripes,  # only the middle third is seen
        "b": stripes.rotate(90, expand=True),
        "c": Image.new("L", (20, 50), 128),  # higher than the side, though less wide
        "d": Image.new("RGB", (32, 32), (1, 2, 3)),
        "e": Image.new("RGB", (333, 335), (200, 100, 50)),
    }.items():
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "image.png")
    seen = middle_view(FolderSource(tmp_path), 32)
    assert seen.shape == (5, 3, 32, 32)
    for view, colour in zip(
        seen, [(0, 255, 0), (0, 255, 0), (128, 128, 128), (1, 2, 3), (200, 100, 50)], strict=True
    ):
        middle = view[:, 2:-2, 2:-2]  # the resize blends the stripes where they meet
        assert torch.allclose(middle, torch.tensor(colour).view(3, 1, 1).expand_as(middle) * 1.0, atol=0.6)


SHAPES = {
    "small and wide": [(40, 20)] * 4,
    "small, of several shapes": [(40, 20), (16, 30), (24, 24), (9, 8)],
    "larger": [(300, 200)] * 4,
    "of all sizes": [(300, 100), (20, 30), (64, 64), (2000, 40)],
}


def lines(width: int, height: int) -> Image.Image:
    """A grey level for each place: where it lies between the image's top left and the bottom right."""
    rows, columns = np.linspace(0, 255, height), np.linspace(0, 255, width)
    middle = np.full((height, width), 128.0)
    return Image.fromarray(
        np.stack(np.broadcast_arrays(columns[None, :], rows[:, None], middle), 2).astype(np.uint8)
    )


@pytest.mark.parametrize("mode", ["native", "reference"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_training_shows_what_measuring_shows(tmp_path: Path, shapes: str, mode: Mode) -> None:
    for label, size in enumerate(SHAPES[shapes]):
        (tmp_path / str(label)).mkdir()
        lines(*size).save(tmp_path / str(label) / "image.png")
    source = with_preprocessing(FolderSource(tmp_path), IMAGENET.in_mode(mode))
    images = MemoryImages(source, range(4), side=42, share=Share(4), augmentation=AS_THEY_ARE)
    (batch,) = next(images.epoch(SEED, 0))
    for resolution in (24, 32):
        seen = batch.view(resolution)[batch.labels.argsort()]
        measured = eval_tensor(source, range(4), source.preprocessing, resolution)
        std = torch.tensor(source.preprocessing.std).view(3, 1, 1)
        # Of 255 grey levels from edge to edge; half a pixel is worth a few of them, another part 16 and more.
        assert float(((seen - measured) * std * 255).abs().max()) < 12


def test_a_view_that_strays_shows_what_lies_around(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in "xy":
        lines(64, 64).save(tmp_path / "a" / f"{name}.png")
    source = FolderSource(tmp_path)
    farther = AugmentationRecipe(min_scale=0.875, max_scale=0.875)
    images = MemoryImages(source, range(2), side=64, share=Share(2), augmentation=farther)
    (batch,) = next(images.epoch(SEED, 0))
    mean, std = source.preprocessing.mean[0], source.preprocessing.std[0]
    row = (batch.view(56)[0, 0, 28] * std + mean) * 255
    assert float(row[0]) < 4  # the left edge of the image, of which measuring shows 7/8
    assert float(row[-1]) > 251


def test_transparent_images_are_shown_as_the_preprocessing_says(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in "xy":
        Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "a" / f"{name}.png")
    source = FolderSource(tmp_path)
    dropped = with_preprocessing(source, IMAGENET.model_copy(update={"transparency": "dropped"}))
    for images, level in ((source, 1.0), (dropped, 0.0)):
        memory = MemoryImages(images, range(2), side=24, share=Share(2), augmentation=AS_THEY_ARE)
        recipe = StreamRecipe(side=16, workers=0, auto_augment="")
        streamed = StreamedImages(images, range(2), recipe, share=Share(2))
        views = [data.epoch(SEED, 0) for data in (memory, streamed)]
        shown = [next(view)[0].view(16) for view in views]
        shown.append(eval_tensor(images, range(2), images.preprocessing, 16))
        want = (level - torch.tensor(IMAGENET.mean)) / torch.tensor(IMAGENET.std)
        for tensor in shown:
            assert torch.allclose(tensor, want.view(3, 1, 1).expand_as(tensor), atol=1e-4)


def test_more_images_than_memory_allows_are_refused_before_they_are_read() -> None:
    with pytest.raises(DataError, match=r"1797 images at 2000×2000 need .* GiB of memory.*loader: stream"):
        MemoryImages(DIGITS, range(1797), side=2000, share=Share(8), augmentation=AS_THEY_ARE)


def test_unreadable_images_are_left_out_up_to_the_limit(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 20, unreadable=(0, 7, 19))

    def images(limit: int) -> MemoryImages:
        return MemoryImages(
            source, range(20), side=12, share=Share(17), augmentation=AS_THEY_ARE, max_unreadable=limit
        )

    served = images(3)
    assert len(served) == 17
    files = [reason.split(":")[0].rsplit("/", 1)[-1] for reason in served.skipped()]
    assert files == ["000.png", "007.png", "019.png"]
    ((batch,),) = served.epoch(SEED, 0)
    assert sorted(numbers(source, batch)) == [n for n in range(20) if n not in (0, 7, 19)]
    with pytest.raises(DataError, match=r"^3 training images .*, 2 may be skipped .*; the last: .*019\.png"):
        images(2)


def test_a_set_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 6, unreadable=range(6))
    with pytest.raises(DataError, match=r"^none of 6 training images can be read; the last: .*005\.png"):
        MemoryImages(source, range(6), side=12, share=Share(2), augmentation=AS_THEY_ARE, max_unreadable=100)
    with pytest.raises(DataError, match=r"^none of 0 training images can be read$"):
        MemoryImages(source, [], side=12, share=Share(2), augmentation=AS_THEY_ARE)
