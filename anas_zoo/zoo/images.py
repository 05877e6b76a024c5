"""From an image file to the network's input with Pillow and numpy alone, as timm's transform does it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.zoo.schemas import PreprocessingInfo

__all__ = ["preprocess"]

Floats = npt.NDArray[np.float32]

# The authors' evaluation: these sizes and this filter do not depend on the architecture.
REFERENCE_RESIZE, REFERENCE_CROP, REFERENCE_FILTER = 256, 224, "bilinear"


def _resize_short_side(image: Image.Image, side: int, interpolation: str) -> Image.Image:
    """The shorter side becomes ``side``, the longer one keeps the ratio, rounded down as torchvision does."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    if short == side:
        return image
    longer = int(side * long / short)
    size = (side, longer) if width <= height else (longer, side)
    return image.resize(size, Image.Resampling[interpolation.upper()])


def _centre_crop(image: Image.Image, side: int) -> Image.Image:
    left, top = round((image.width - side) / 2.0), round((image.height - side) / 2.0)
    return image.crop((left, top, left + side, top + side))


def _normalised(image: Image.Image, info: PreprocessingInfo) -> Floats:
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    mean = np.array(info.mean, dtype=np.float32)[:, None, None]
    std = np.array(info.std, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray((pixels - mean) / std, dtype=np.float32)


def _cubic_weights(source: int, target: int) -> npt.NDArray[np.float64]:
    """(target, source) matrix of cubic convolution (a = -0.75, half-pixel centres, edges repeated)."""
    a, matrix = -0.75, np.zeros((target, source))
    # Places in float32, as torch has them: near the far edge that is worth 1e-5 of a grey level.
    scale, half = np.float32(source / target), np.float32(0.5)
    for row in range(target):
        centre = float(scale * (np.float32(row) + half) - half)
        first = math.floor(centre)
        for tap in range(first - 1, first + 3):
            x = abs(centre - tap)
            near = ((a + 2) * x - (a + 3)) * x * x + 1
            far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
            matrix[row, min(max(tap, 0), source - 1)] += near if x <= 1 else far
    return matrix


def _resize_array(array: Floats, side: int) -> Floats:
    """(3, S, S) -> (3, side, side) as torch's bicubic ``interpolate`` without antialiasing."""
    if array.shape[-1] == side:
        return array
    weights = _cubic_weights(array.shape[-1], side)
    return np.asarray(np.einsum("ij,cjk,lk->cil", weights, array, weights, optimize=True), dtype=np.float32)


def preprocess(image: Image.Image, info: PreprocessingInfo) -> Floats:
    """(3, R, R) float32 of an RGB image, in the way that the entry's config states."""
    if info.mode == "reference":
        resized = _resize_short_side(image, REFERENCE_RESIZE, REFERENCE_FILTER)
        return _resize_array(_normalised(_centre_crop(resized, REFERENCE_CROP), info), info.resolution)
    resized = _resize_short_side(image, math.floor(info.resolution / info.crop_pct), info.interpolation)
    return _normalised(_centre_crop(resized, info.resolution), info)
