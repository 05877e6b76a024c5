"""What both ways of serving training images promise: from memory and streamed from where they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from global_generators import untouched
from image_files import DIGITS, write_digits
from numbered_images import numbers, write_numbered

from anas_zoo.data import (
    AugmentationRecipe,
    Batch,
    FolderSource,
    ImageSource,
    MemoryImages,
    PartOfPasses,
    Share,
    StreamedImages,
    StreamRecipe,
)

SEED = (7, 0)
STRAYING = AugmentationRecipe(rotation_deg=15, min_scale=0.8, translation_fraction=0.1, flip=True)

Load = Callable[..., MemoryImages | StreamedImages]


def memory(source: ImageSource, indices: Sequence[int], share: Share, *, plain: bool = False) -> MemoryImages:
    augmentation = AugmentationRecipe() if plain else STRAYING
    return MemoryImages(source, indices, side=16, share=share, augmentation=augmentation)


def streamed(
    source: ImageSource, indices: Sequence[int], share: Share, *, plain: bool = False
) -> StreamedImages:
    # Crops and flips of one colour show nothing.
    recipe = StreamRecipe(side=12 if plain else 16, auto_augment="", workers=0)
    return StreamedImages(source, indices, recipe, share=share)


pytestmark = pytest.mark.parametrize("load", [memory, streamed])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """60 images of ten classes."""
    return FolderSource(write_digits(tmp_path_factory.mktemp("photos"), per_class=6, side=40))


def flat(epoch: Iterator[list[Batch]]) -> list[torch.Tensor]:
    """Everything that a pass holds: labels and the views at two resolutions of each micro-batch."""
    found = [batch for batches in epoch for batch in batches]
    return [tensor for batch in found for tensor in (batch.labels, batch.view(12), batch.view(20))]


def test_a_pass_shows_each_image_at_most_once(load: Load, tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 50)
    train = [number for number in range(50) if number % 5]
    images = load(source, train, Share(12, accumulation=2), plain=True)
    assert images.steps_per_epoch() == 3
    shown = [[numbers(source, batch) for batch in batches] for batches in images.epoch(SEED, 0)]
    assert [[len(batch) for batch in batches] for batches in shown] == [[6, 6]] * 3
    seen = sum((batch for batches in shown for batch in batches), start=list[int]())
    assert len(set(seen)) == 36
    assert set(seen) <= set(train)
    assert seen != sorted(seen)
    assert images.skipped() == ()


@pytest.mark.parametrize(("processes", "accumulation"), [(1, 2), (2, 3)])
def test_processes_share_what_one_process_would_see(
    load: Load, photos: FolderSource, processes: int, accumulation: int
) -> None:
    whole = list(load(photos, range(60), Share(24)).epoch(SEED, 3))
    shares = [Share(24, processes, rank, accumulation) for rank in range(processes)]
    found = [list(load(photos, range(60), share).epoch(SEED, 3)) for share in shares]
    for step, (batch,) in enumerate(whole):
        parts = [part for epoch in found for part in epoch[step]]
        assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
        for resolution in (12, 16, 20):
            assert torch.equal(torch.cat([part.view(resolution) for part in parts]), batch.view(resolution))


def test_a_resumed_pass_is_the_rest_of_it(load: Load, photos: FolderSource) -> None:
    images = load(photos, range(60), Share(12, accumulation=2))
    whole = flat(images.epoch(SEED, 1))
    assert len(whole) == 5 * 6
    for first_step in (0, 1, 4, 5):
        rest = flat(images.epoch(SEED, 1, first_step=first_step))
        assert len(rest) == len(whole) - first_step * 6
        assert all(map(torch.equal, rest, whole[first_step * 6 :]))


@pytest.mark.parametrize(("part", "steps"), [(1.0, 5), (0.6, 3), (0.59, 2), (0.01, 1)])
def test_a_part_of_a_pass_is_its_beginning(load: Load, photos: FolderSource, part: float, steps: int) -> None:
    images = load(photos, range(60), Share(12))
    short = PartOfPasses(images, part)
    assert short.steps_per_epoch() == steps
    for number, first_step in itertools.product([0, 1], [0, steps - 1]):
        beginning = flat(images.epoch(SEED, number))[3 * first_step : 3 * steps]
        assert all(map(torch.equal, flat(short.epoch(SEED, number, first_step=first_step)), beginning))
    assert short.skipped() == images.skipped()


def test_seeds_and_passes_have_orders_and_views_of_their_own(load: Load, photos: FolderSource) -> None:
    ten = [int((photos.labels == label).argmax()) for label in range(10)]  # one image of each class
    images = load(photos, ten, Share(10))
    passes = itertools.product([(7, 0), (8, 0), (7, 1)], [0, 1])
    batches = [next(images.epoch(seed, epoch))[0] for seed, epoch in passes]
    assert len({tuple(batch.labels.tolist()) for batch in batches}) == len(batches)
    views = [batch.view(16)[batch.labels.argsort()] for batch in batches]
    for first, second in itertools.combinations(views, 2):
        assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_each_image_is_drawn_for_alone(load: Load, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in range(40):
        DIGITS.image(3).resize((24, 24)).save(tmp_path / "a" / f"{name}.png")
    epoch = load(FolderSource(tmp_path), range(40), Share(8, accumulation=2)).epoch(SEED, 0)
    views = torch.cat([batch.view(12) for batches in epoch for batch in batches])
    assert len(torch.unique(views, dim=0)) == 40


def test_global_generators_are_left_alone(load: Load, photos: FolderSource) -> None:
    with untouched():
        flat(load(photos, range(60), Share(8, accumulation=2)).epoch(SEED, 0))
