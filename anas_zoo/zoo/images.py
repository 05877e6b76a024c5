"""From an image file to the network's input with Pillow and numpy alone, as timm's transform does it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.geometry import cubic_matrix, resize_and_crop_sides
from anas_zoo.core.images import opaque, resized_and_cropped
from anas_zoo.entry.config import PreprocessingInfo

__all__ = ["preprocess"]

Floats = npt.NDArray[np.float32]


def preprocess(image: Image.Image, info: PreprocessingInfo) -> Floats:
    """(3, R, R) float32 of an image as it was read, in the way that the entry's config states."""
    short_side, side = resize_and_crop_sides(info.mode, info.resolution, info.crop_pct)
    cut = resized_and_cropped(opaque(image, info.transparency), short_side, side, info.interpolation)
    return _resize_array(_normalised(cut, info), info.resolution)


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
