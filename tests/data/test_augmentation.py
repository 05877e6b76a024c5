from __future__ import annotations

import torch

from anas_zoo.data import AugmentationRecipe, DigitsSource, augment, draw_affine, eval_tensor


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
