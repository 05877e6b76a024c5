"""What a recipe leaves to its images: the search space, and which of its resolutions."""

from __future__ import annotations

from collections.abc import Sequence

from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note
from anas_zoo.data import Inspection
from anas_zoo.data.sources import BUILT_IN
from anas_zoo.pipeline.init_supernet import OF_TIMM
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.space import SearchSpace

OF_PHOTOGRAPHS = (
    "efficientnet_lite0"  # timm's network whose weights serve photographs (benchmarks/truncation.py)
)
UNNAMED = "mine"  # as the recipe for own images calls its models
# Space by the largest short side of the images, in pixels, that it is made for.
SPACES = {"tiny": 40, "small": 112, "photo": 10**9}
ENLARGED = 1.15  # a resolution may be larger than the images by this factor
# And of the smallest images no smaller than this part of them: they have no pixels to spare, and a shortly
# trained supernet takes the middle of its resolutions for the best (benchmarks/results/own_images.md).
LEAST = {"tiny": 0.7}
# Or up to this many pixels: the stem's stride of 2 leaves half of them.
ALWAYS = 16


def fit_to_images(recipe: Recipe, seen: Inspection) -> Recipe:
    """``recipe`` with the search space that is made for images as ``seen``.

    The space follows from the median short side, and no resolution above 16 is larger than that by more than
    15 %: there is nothing to see in made-up pixels. In ``tiny`` none is under 70 % of it.
    """
    side = seen.short_side_px or 224
    name = next(name for name, largest in SPACES.items() if side <= largest)
    choices = SearchSpace.load(name).config.resolution
    useful = useful_resolutions(choices, side, LEAST.get(name, 0.0))
    note(f"  images of {side} pixels: space {name}, resolutions {', '.join(map(str, useful))}")
    if name != "tiny":
        note(
            "  all weights are drawn anew; photographs are known better from pretrained ones: ",
            Call("run", init=OF_TIMM + OF_PHOTOGRAPHS, data=recipe.data, out="RUN"),
        )
    found = recipe.model_copy(update={"space": name, "resolution": useful})
    if recipe.name == UNNAMED and recipe.data in BUILT_IN:
        found = found.model_copy(update={"name": recipe.data})
    return found


def useful_resolutions(choices: Sequence[int], side: int, least: float = 0.0) -> tuple[int, ...]:
    """Those of the ascending ``choices`` that show enough of images of ``side`` pixels; at least one.

    ``least``: the part of the side, or of the largest of them, that has to be shown; 1 at most.
    """
    shown = [one for one in choices if one <= max(ALWAYS, ENLARGED * side)] or list(choices[:1])
    return tuple(one for one in shown if one >= least * min(side, shown[-1]))
