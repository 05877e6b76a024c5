"""The search space and the resolutions that follow from the sizes of the images."""

from __future__ import annotations

import pytest

from anas_zoo.data import Inspection
from anas_zoo.pipeline import Recipe
from anas_zoo.pipeline.fitting import fit_to_images
from anas_zoo.space import SearchSpace


def seen(side: int | None) -> Inspection:
    sides = None if side is None else (side,) * 5
    return Inspection(images=40, per_class={"a": 20, "b": 20}, measured=40, read=40, short_sides_px=sides)


@pytest.mark.parametrize(
    ("side", "space"),
    [(8, "tiny"), (28, "tiny"), (40, "tiny"), (41, "small"), (96, "small"), (113, "photo"), (2000, "photo")],
)
def test_the_space_follows_from_the_short_side_and_enlarges_nothing(side: int, space: str) -> None:
    recipe = fit_to_images(Recipe.load("own_images", data="path/to/images"), seen(side))
    assert recipe.space == space
    assert recipe.resolution
    fitted = SearchSpace.load(space).at(recipe.resolution)
    assert fitted.largest.resolution == max(recipe.resolution)
    least = SearchSpace.load(space).smallest.resolution
    assert max(recipe.resolution) <= max(16, 1.15 * side, least)
    left_out = set(SearchSpace.load(space).config.resolution) - set(recipe.resolution)
    under = 0.7 * min(side, max(recipe.resolution)) if space == "tiny" else 0
    assert all(resolution > 1.15 * side or resolution < under for resolution in left_out)


def test_the_smallest_images_have_no_pixels_to_spare() -> None:
    found = {
        side: fit_to_images(Recipe.load("own_images", data="path/to/images"), seen(side)).resolution
        for side in (8, 28, 32, 40, 64)
    }
    assert found[8] == (12, 16)
    assert found[28] == (20, 24, 28, 32)
    assert found[32] == found[40] == (24, 28, 32)
    assert found[64] == tuple(one for one in SearchSpace.load("small").config.resolution if one <= 73)


def test_images_of_unknown_size_are_photographs() -> None:
    recipe = fit_to_images(Recipe.load("own_images", data="path/to/images"), seen(None))
    assert recipe.space == "photo"


def test_models_of_built_in_images_are_called_after_them() -> None:
    assert fit_to_images(Recipe.load("own_images", data="digits"), seen(8)).name == "digits"
    assert fit_to_images(Recipe.load("own_images", data="path/to/digits"), seen(8)).name == "mine"
    named = Recipe.load("own_images", data="digits", settings=["name=numbers"])
    assert fit_to_images(named, seen(8)).name == "numbers"
