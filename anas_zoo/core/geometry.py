"""The numbers of preprocessing: how large an image is made, where it is cut, and torch's bicubic weights."""

from __future__ import annotations

import math
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

# What an exported file takes: preprocessed images (batch, 3, R, R), or raw ones (batch, height, width, 3).
InputForm = Literal["float32-nchw", "uint8-nhwc"]
Mode = Literal["native", "reference"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
# What becomes of transparent parts: laid on white; or dropped, so that what lies under them shows.
Transparency = Literal["white", "dropped"]

REFERENCE_RESIZE, REFERENCE_CROP = 256, 224
# What the mode ``reference`` does not leave open; 224 / 0.875 is 256.
REFERENCE_FIXED: Final[dict[str, Any]] = {"interpolation": "bilinear", "crop_pct": 0.875}

CUBIC_A = -0.75  # torch's; Pillow has -0.5


def resized_short_side(resolution: int, crop_pct: float) -> int:
    """Short side in pixels of the image that a square of ``resolution`` is cut out of, as timm has it."""
    return math.floor(resolution / crop_pct)


def resize_and_crop_sides(mode: Mode, resolution: int, crop_pct: float) -> tuple[int, int]:
    """(short side after the resize, side of the centre crop) in pixels of the image's part of a mode."""
    if mode == "reference":
        return REFERENCE_RESIZE, REFERENCE_CROP
    return resized_short_side(resolution, crop_pct), resolution


def resized_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) with that short side; the long one keeps the ratio, rounded down as in torchvision."""
    longer = int(short_side * max(width, height) / min(width, height))
    return (short_side, longer) if width <= height else (longer, short_side)


def crop_offset(length: int, side: int) -> int:
    """Where the middle ``side`` pixels of ``length`` begin; a half is rounded to even, as in torchvision."""
    return round((length - side) / 2.0)


def cubic_matrix(source: int, target: int) -> npt.NDArray[np.float64]:
    """(target, source) weights of torch's bicubic ``interpolate``: M · x resizes a line of pixels.

    Cubic convolution with a = -0.75, half-pixel centres, edges repeated, no antialiasing.
    """
    # Places in float32, as torch has them: near the far edge that is worth 1e-5 of a grey level.
    scale, half = np.float32(source / target), np.float32(0.5)
    rows = np.arange(target)
    centres = (scale * (rows.astype(np.float32) + half) - half).astype(np.float64)
    matrix = np.zeros((target, source))
    for tap in range(-1, 3):
        places = np.floor(centres).astype(np.int64) + tap
        x = np.abs(centres - places)
        near = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
        far = ((CUBIC_A * x - 5 * CUBIC_A) * x + 8 * CUBIC_A) * x - 4 * CUBIC_A
        np.add.at(matrix, (rows, places.clip(0, source - 1)), np.where(x <= 1, near, far))
    return matrix
