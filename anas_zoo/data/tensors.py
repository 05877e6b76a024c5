"""Preprocessed images as tensors, for measuring: what a deployed model would see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import opaque, resized_and_cropped
from anas_zoo.core.progress import track
from anas_zoo.data.sources import ImageSource
from anas_zoo.entry import Preprocessing

__all__ = ["check_memory", "eval_tensor", "eval_transform", "images_in_memory"]

MAX_BYTES_IN_MEMORY = 4 * 2**30


def eval_transform(preprocessing: Preprocessing, resolution: int) -> Callable[[Image.Image], Tensor]:
    """The evaluation transform: an image as it was read -> (3, R, R) float32, bit-equal to timm's."""
    from timm.data import create_transform

    short_side, side = preprocessing.sides(resolution)
    to_tensor: Callable[[Image.Image], Tensor] = create_transform(
        input_size=(3, side, side),
        is_training=False,
        crop_pct=1.0,  # it is cropped already
        mean=preprocessing.mean,
        std=preprocessing.std,
    )

    def transformed(image: Image.Image) -> Tensor:
        rgb = opaque(image, preprocessing.transparency)
        made = to_tensor(resized_and_cropped(rgb, short_side, side, preprocessing.interpolation))
        if side == resolution:
            return made
        size = (resolution, resolution)
        return F.interpolate(made[None], size=size, mode="bicubic", align_corners=False)[0]

    return transformed


def eval_tensor(
    source: ImageSource, indices: Sequence[int], preprocessing: Preprocessing, resolution: int
) -> Tensor:
    """The images ``indices`` as a deployed model would see them, (N, 3, R, R) float32."""
    check_memory(len(indices), resolution, bytes_per_value=4)
    transform = eval_transform(preprocessing, resolution)
    what = f"preprocess {len(indices)} images at {resolution}"
    return torch.stack([transform(source.image(index)) for index in track(indices, what)])


def images_in_memory(side: int, bytes_per_value: int = 4) -> int:
    """How many images (3, side, side) the memory set aside for them holds."""
    return MAX_BYTES_IN_MEMORY // (3 * side * side * bytes_per_value)


def check_memory(count: int, side: int, bytes_per_value: int) -> None:
    """Raise :class:`DataError` when that many images would not fit the memory set aside for them."""
    needed = count * 3 * side * side * bytes_per_value
    if needed > MAX_BYTES_IN_MEMORY:
        raise DataError(
            f"{count} images at {side}×{side} need {needed / 2**30:.1f} GiB of memory, "
            f"the limit is {MAX_BYTES_IN_MEMORY / 2**30:.0f} GiB; use fewer images, or for training "
            "loader: stream"
        )
