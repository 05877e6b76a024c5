"""Random training views: affine ones of images in memory, timm's of image files.

All subnets of a training step see the same view of each image, each at its own resolution, as in
AttentiveNAS where the network itself resizes the crop. So drawing affine maps and rendering them are two
functions, and a batch of files is decoded and changed once.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from anas_zoo.core.schema import Schema


class AugmentationRecipe(Schema):
    """How far a training view may stray from its image.

    ``probability`` is the share of views that stray at all: of images as small as 8×8 every interpolated
    view is blurred, and a network that never saw a sharp one does worse on the sharp ones it is tested on.
    """

    probability: float = Field(1.0, ge=0, le=1)
    rotation_deg: float = Field(0.0, ge=0, le=180)
    min_scale: float = Field(1.0, gt=0)
    max_scale: float = Field(1.0, gt=0)
    shear: float = Field(0.0, ge=0, le=1)
    translation_fraction: float = Field(0.0, ge=0, le=1)
    flip: bool = False

    def describe(self) -> str:
        """In words: ``"flips: no; rotation up to 10°, scale 0.9 to 1.1"``."""
        changes = [
            f"rotation up to {self.rotation_deg:g}°" if self.rotation_deg else "",
            f"scale {self.min_scale:g} to {self.max_scale:g}" if self.min_scale != self.max_scale else "",
            f"shear up to {self.shear:g}" if self.shear else "",
            f"shifts up to {100 * self.translation_fraction:g} %" if self.translation_fraction else "",
        ]
        share = f" of {100 * self.probability:g} % of the views" if self.probability < 1 else ""
        found = ", ".join(filter(None, changes))
        return f"flips: {'yes' if self.flip else 'no'}; {found + share if found else 'nothing else changed'}"


def draw_affine(recipe: AugmentationRecipe, count: int, generator: torch.Generator) -> Tensor:
    """``count`` random maps from output to input coordinates, (count, 2, 3) float32."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = uniform(-1, 1) * math.radians(recipe.rotation_deg)
    # Drawn in the logarithm, so that growing and shrinking by one factor are equally likely.
    scale = torch.exp(uniform(math.log(recipe.min_scale), math.log(recipe.max_scale)))
    shear = uniform(-1, 1) * recipe.shear
    shift = 2 * recipe.translation_fraction  # the coordinates run from -1 to 1
    dx, dy = uniform(-1, 1) * shift, uniform(-1, 1) * shift
    mirror = torch.ones(count)
    if recipe.flip:
        mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [torch.stack([mirror * cos, shear - sin, dx], 1), torch.stack([mirror * sin, cos, dy], 1)]
    maps = torch.stack(rows, 1)
    if recipe.probability < 1:
        still = uniform(0, 1) >= recipe.probability
        maps[still] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return maps


def augment(images: Tensor, affine: Tensor, resolution: int) -> Tensor:
    """Views of ``images`` (N, 3, H, W) float32 through ``affine`` (N, 2, 3) -> (N, 3, R, R).

    Bilinear; what lies outside repeats the border.
    """
    size = [len(images), images.shape[1], resolution, resolution]
    grid = F.affine_grid(affine, size, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


class StreamRecipe(Schema):
    """How training views are made from image files: a random crop, resized to ``side``, and changed.

    ``auto_augment`` is a policy in timm's notation: ``v0`` and ``original`` are AutoAugment's,
    ``rand-m9-mstd0.5`` is RandAugment, empty is none. ``workers`` processes decode for each training process;
    0 decodes in it.
    """

    side: int = Field(224, ge=8)
    min_scale: float = Field(0.08, gt=0, le=1)
    max_scale: float = Field(1.0, gt=0, le=1)
    flip: bool = True
    auto_augment: str = "v0"
    workers: int = Field(4, ge=0, le=256)

    def describe(self) -> str:
        """In words: ``"flips: yes; crops of 8 to 100 % of the area, AutoAugment v0"``."""
        crops = f"crops of {100 * self.min_scale:g} to {100 * self.max_scale:g} % of the area"
        policy = f", AutoAugment {self.auto_augment}" if self.auto_augment else ""
        return f"flips: {'yes' if self.flip else 'no'}; {crops}{policy}"

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale {self.min_scale} is above max_scale {self.max_scale}")
        if self.auto_augment not in ("", "v0", "original"):  # trying a policy out means loading timm
            try:
                _transform(self)
            except Exception as exc:  # timm answers a bad policy with assertions and key errors
                raise ValueError(
                    f"auto_augment {self.auto_augment!r} is not a policy of timm; give v0, original, "
                    "rand-m9-mstd0.5 or '' for none"
                ) from exc
        return self


class RandomViews:
    """Views of images as ``recipe`` has them; may be sent to another process."""

    def __init__(self, recipe: StreamRecipe) -> None:
        self._transform = _transform(recipe)

    def __call__(self, image: Image.Image, seed: Sequence[int]) -> Tensor:
        """The view of an RGB ``image`` that the words of ``seed`` give, (3, side, side) uint8."""
        with _seeded_globals(seed):
            return torch.as_tensor(np.asarray(self._transform(image)))


def _transform(recipe: StreamRecipe) -> Any:
    """timm's training transform: RGB image -> (3, side, side) uint8."""
    from timm.data import create_transform

    transform = create_transform(
        input_size=(3, recipe.side, recipe.side),
        is_training=True,
        use_prefetcher=True,  # bytes instead of normalised floats: a quarter of the traffic
        scale=(recipe.min_scale, recipe.max_scale),
        hflip=0.5 if recipe.flip else 0.0,
        color_jitter=None,
        auto_augment=recipe.auto_augment or None,
        interpolation="bilinear",
    )
    for step in transform.transforms:
        policy = getattr(step, "policy", None) or [getattr(step, "ops", [])]
        for operation in (operation for operations in policy for operation in operations):
            if operation.name.startswith("Posterize"):
                operation.aug_fn = _posterize
    return transform


def _posterize(image: Image.Image, bits: int, **options: Any) -> Image.Image:
    """timm's operation. v0 asks for 0 bits: black until Pillow 12, an error from Pillow 13 on."""
    from timm.data.auto_augment import posterize

    if bits < 1:
        return Image.new(image.mode, image.size)
    return posterize(image, bits, **options)  # type: ignore[no-any-return]


@contextlib.contextmanager
def _seeded_globals(words: Sequence[int]) -> Iterator[None]:
    """Seed the global generators that timm's and torchvision's transforms draw from; put them back after."""
    numpys = np.random.get_state()  # noqa: NPY002 # the transforms draw from the legacy generator
    states = random.getstate(), torch.get_rng_state()
    word = int(np.random.SeedSequence(words).generate_state(1, np.uint32)[0])
    random.seed(word)
    np.random.seed(word)  # noqa: NPY002
    torch.default_generator.manual_seed(word)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(numpys)  # noqa: NPY002
        torch.set_rng_state(states[1])
