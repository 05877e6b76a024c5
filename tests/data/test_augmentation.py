from __future__ import annotations

import pickle
import resource

import numpy as np
import pytest
import torch
from global_generators import untouched
from image_files import DIGITS
from PIL import Image

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.schema import parse
from anas_zoo.data import AugmentationRecipe, DigitsSource, StreamRecipe, augment, draw_affine, eval_tensor
from anas_zoo.data.augmentation import RandomViews

POLICIES = ["", "v0", "original", "rand-m9-mstd0.5"]
DIGIT = DIGITS.image(3).resize((32, 32))


def digits(count: int = 6, side: int = 8) -> torch.Tensor:
    source = DigitsSource()
    return eval_tensor(source, range(count), source.preprocessing, side)


def test_no_augmentation_is_the_evaluation_resize() -> None:
    affine = draw_affine(AugmentationRecipe(), 6, torch.Generator().manual_seed(0))
    images = digits()
    assert torch.allclose(augment(images, affine, 8), images, atol=1e-5)
    # PIL rounds to bytes after its resize, so agreement is to half a grey level of 255.
    assert (augment(images, affine, 14) - digits(side=14)).abs().max() < 2 / 255


def test_one_draw_gives_the_same_view_at_every_resolution() -> None:
    recipe = AugmentationRecipe(rotation_deg=20, min_scale=0.8, max_scale=1.2, translation_fraction=0.1)
    affine = draw_affine(recipe, 6, torch.Generator().manual_seed(1))
    small, large = augment(digits(), affine, 12), augment(digits(), affine, 24)
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    correlation = torch.corrcoef(torch.stack([small.flatten(), shrunk.flatten()]))[0, 1]
    assert correlation > 0.98


def test_draws_follow_the_generator_and_stay_in_range() -> None:
    recipe = AugmentationRecipe(min_scale=0.5, max_scale=2.0, translation_fraction=0.25)
    first = draw_affine(recipe, 500, torch.Generator().manual_seed(2))
    assert torch.equal(first, draw_affine(recipe, 500, torch.Generator().manual_seed(2)))
    assert not torch.equal(first, draw_affine(recipe, 500, torch.Generator().manual_seed(3)))
    scale = first[:, 0, 0]
    assert 0.5 <= scale.min() < 0.6
    assert 1.8 < scale.max() <= 2.0
    assert first[:, :, 2].abs().max() <= 0.5


def test_flip_mirrors_about_half_of_the_images() -> None:
    affine = draw_affine(AugmentationRecipe(flip=True), 1000, torch.Generator().manual_seed(0))
    mirrored = affine[:, 0, 0] < 0
    assert 400 < int(mirrored.sum()) < 600
    index = int(mirrored.nonzero()[0])
    images = digits(1)
    view = augment(images, affine[index : index + 1], 8)
    assert torch.allclose(view, images.flip(-1), atol=1e-5)


def test_a_share_of_the_views_is_the_image_itself() -> None:
    recipe = AugmentationRecipe(rotation_deg=30, probability=0.6)
    maps = draw_affine(recipe, 1000, torch.Generator().manual_seed(0))
    still = (maps == torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).all(-1).all(-1)
    assert 350 < int(still.sum()) < 450


def views(recipe: StreamRecipe, image: Image.Image, count: int) -> torch.Tensor:
    """That many views of one image, (count, 3, side, side) uint8."""
    make = RandomViews(recipe)
    return torch.stack([make(image, (1, 2, number)) for number in range(count)])


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_makes_views_that_follow_the_seed(policy: str) -> None:
    recipe = parse(StreamRecipe, {"side": 16, "auto_augment": policy}, "recipe")
    with untouched():
        found = views(recipe, DIGIT, 150)  # many, as each draws a few of a policy's operations
    assert found.shape == (150, 3, 16, 16)
    assert found.dtype == torch.uint8
    assert len(torch.unique(found, dim=0)) > 100
    assert torch.equal(found[:20], views(recipe, DIGIT, 20))


def test_v0_paints_some_views_black_with_every_pillow() -> None:
    # One of its 25 sub-policies keeps 0 bits of each colour, in 80 % of its uses.
    found = views(StreamRecipe(side=16, auto_augment="v0"), DIGIT, 400)
    assert 1 <= sum(int(view.max()) == 0 for view in found) <= 40


def test_without_changes_a_view_is_the_image() -> None:
    recipe = StreamRecipe(side=32, min_scale=1.0, flip=False, auto_augment="")
    assert (views(recipe, DIGIT, 20) == pixels(DIGIT)).all()


def test_flip_mirrors_about_half_of_the_views() -> None:
    recipe = StreamRecipe(side=32, min_scale=1.0, auto_augment="")
    found = views(recipe, DIGIT, 200)
    mirrored = (found == pixels(DIGIT).flip(-1)).all(-1).all(-1).all(-1)
    as_it_is = (found == pixels(DIGIT)).all(-1).all(-1).all(-1)
    assert (mirrored ^ as_it_is).all()
    assert 70 < int(mirrored.sum()) < 130


def test_a_view_is_a_crop_of_the_scale_asked_for() -> None:
    # Red runs from 0 to 255 along the width, green along the height, so a view's range tells its crop.
    rows, columns = np.mgrid[:256, :256].astype(np.uint8)
    image = Image.fromarray(np.stack([columns, rows, np.zeros_like(rows)], -1))
    recipe = StreamRecipe(side=64, min_scale=0.2, max_scale=0.5, auto_augment="")
    found = views(recipe, image, 200).float()
    width, height = (
        found[:, channel].amax((-1, -2)) - found[:, channel].amin((-1, -2)) for channel in (0, 1)
    )
    area = width * height / 256**2
    assert 0.17 < area.min() < 0.25
    assert 0.42 < area.max() < 0.52
    assert (width / height).min() > 0.7
    assert (width / height).max() < 1.45


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (300, 2), (16, 16), (5000, 3)])
@pytest.mark.parametrize("policy", ["", "v0"])
def test_images_of_any_shape_have_views(size: tuple[int, int], policy: str) -> None:
    found = views(StreamRecipe(side=16, auto_augment=policy), Image.new("RGB", size, (9, 80, 7)), 40)
    assert found.shape == (40, 3, 16, 16)


def test_views_may_be_sent_to_another_process() -> None:
    for policy in POLICIES:
        make = RandomViews(StreamRecipe(side=16, auto_augment=policy))
        copy = pickle.loads(pickle.dumps(make))
        assert all(torch.equal(make(DIGIT, (0, n)), copy(DIGIT, (0, n))) for n in range(30))


@pytest.mark.parametrize("policy", ["v1", "V0", "bogus", "rand-m9-nonsense1"])
def test_an_unknown_policy_is_refused(policy: str) -> None:
    with pytest.raises(ConfigError, match=rf"auto_augment '{policy}' is not a policy of timm; give v0, "):
        parse(StreamRecipe, {"auto_augment": policy}, "recipe")


def test_a_range_of_scales_is_not_empty() -> None:
    with pytest.raises(ConfigError, match=r"min_scale 0\.6 is above max_scale 0\.5"):
        parse(StreamRecipe, {"min_scale": 0.6, "max_scale": 0.5}, "recipe")


@pytest.mark.parametrize("size", [(10_000, 1), (1, 10_000)])
def test_a_view_of_a_strip_takes_little_memory(size: tuple[int, int]) -> None:
    recipe = parse(StreamRecipe, {"side": 224}, "recipe")
    views(recipe, DIGIT, 1)  # which loads timm
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert views(recipe, Image.new("RGB", size), 20).shape == (20, 3, 224, 224)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # whole it has 1.5 GB


def test_augmentation_in_words() -> None:
    assert AugmentationRecipe().describe() == "flips: no; nothing else changed"
    some = AugmentationRecipe(rotation_deg=10, min_scale=0.9, translation_fraction=0.05, flip=True)
    assert some.describe() == "flips: yes; rotation up to 10°, scale 0.9 to 1, shifts up to 5 %"
    assert StreamRecipe().describe() == "flips: yes; crops of 8 to 100 % of the area, AutoAugment v0"
