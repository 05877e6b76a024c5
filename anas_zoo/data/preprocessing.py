"""The preprocessing contract carried out for torch: what turns an image file into a network's input."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anas_zoo.core.images import opaque, resized_and_cropped
from anas_zoo.entry import Preprocessing

__all__ = ["eval_transform"]


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
