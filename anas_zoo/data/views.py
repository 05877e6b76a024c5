"""Random training views of an image: which crop, which changes, and the randomness behind them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor

from anas_zoo.core.schema import Schema

__all__ = ["RandomViews", "StreamRecipe"]


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

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale {self.min_scale} is above max_scale {self.max_scale}")
        if self.auto_augment not in ("", "v0", "original"):  # trying a policy out means loading timm
            try:
                _transform(self)
            except Exception as exc:  # timm answers a bad policy with assertions and key errors
                raise ValueError(
                    f"auto_augment {self.auto_augment!r} is no policy that timm knows; give v0, original, "
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
