"""From an image file to the network's input with Pillow and numpy alone, as timm's transform does it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.geometry import (
    REFERENCE_CROP,
    REFERENCE_RESIZE,
    crop_offset,
    cubic_matrix,
    resized_short_side,
    resized_size,
)
from anas_zoo.zoo.schemas import PreprocessingInfo

__all__ = ["preprocess"]

Floats = npt.NDArray[np.float32]


def preprocess(image: Image.Image, info: PreprocessingInfo) -> Floats:
    """(3, R, R) float32 of an RGB image, in the way that the entry's config states."""
    if info.mode == "reference":
        crop = _resize_and_crop(image, REFERENCE_RESIZE, REFERENCE_CROP, info.interpolation)
        return _resize_array(_normalised(crop, info), info.resolution)
    short_side = resized_short_side(info.resolution, info.crop_pct)
    return _normalised(_resize_and_crop(image, short_side, info.resolution, info.interpolation), info)


def _resize_and_crop(image: Image.Image, short_side: int, side: int, interpolation: str) -> Image.Image:
    """The middle ``side`` × ``side`` pixels of ``image`` with that short side."""
    size = resized_size(*image.size, short_side)
    if image.size != size:
        image = image.resize(size, Image.Resampling[interpolation.upper()])
    left, top = (crop_offset(length, side) for length in size)
    return image.crop((left, top, left + side, top + side))


def _normalised(image: Image.Image, info: PreprocessingInfo) -> Floats:
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    mean = np.array(info.mean, dtype=np.float32)[:, None, None]
    std = np.array(info.std, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray((pixels - mean) / std, dtype=np.float32)


def _resize_array(array: Floats, side: int) -> Floats:
    """(3, S, S) -> (3, side, side) as torch's bicubic ``interpolate`` without antialiasing."""
    if array.shape[-1] == side:
        return array
    weights = cubic_matrix(array.shape[-1], side)
    return np.asarray(np.einsum("ij,cjk,lk->cil", weights, array, weights, optimize=True), dtype=np.float32)
