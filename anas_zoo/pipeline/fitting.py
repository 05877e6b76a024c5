"""What a recipe leaves to its images: the search space, and which of its resolutions."""

from __future__ import annotations

from anas_zoo.core.progress import note
from anas_zoo.data import open_source, summarise
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.space import SearchSpace

# Space by the largest short side of the images, in pixels, that it is made for.
SPACES = {"tiny": 40, "small": 112, "photo": 10**9}
ENLARGED = 1.15  # a resolution may be larger than the images by this factor


def fit_to_images(recipe: Recipe) -> Recipe:
    """``recipe`` with a space for its images, where it names neither a space nor a supernet to start from.

    The space follows from the short side of the images, and no resolution is larger than that by more than
    15 %: there is nothing to see in made-up pixels. Raises :class:`DataError` for images that cannot be
    opened.
    """
    if recipe.space is not None or recipe.init is not None or recipe.data is None:
        return recipe
    sizes = summarise(open_source(recipe.data)).sizes
    side = 224 if sizes is None else min(sizes[0])
    name = next(name for name, largest in SPACES.items() if side <= largest)
    choices = SearchSpace.load(name).config.resolution
    useful = tuple(one for one in choices if one <= ENLARGED * side) or choices[:1]
    note(f"  images of {side} pixels: space {name}, resolutions {', '.join(map(str, useful))}")
    return recipe.model_copy(update={"space": name, "resolution": useful})
