"""From an image file to the network's input with Pillow and numpy alone, as timm's transform does it."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from anas_zoo.errors import DataError
from anas_zoo.zoo.schemas import PreprocessingInfo

__all__ = ["preprocess", "read_rgb"]

Floats = npt.NDArray[np.float32]

# The authors' evaluation: these sizes and this filter do not depend on the architecture.
REFERENCE_RESIZE, REFERENCE_CROP, REFERENCE_FILTER = 256, 224, "bilinear"


def read_rgb(path: str | Path) -> Image.Image:
    """The image of a file as people see it: upright, RGB, 8 bits.

    16-bit grey is scaled (Pillow's own conversion clips it to white), transparency is dropped as timm's
    readers do. Raises :class:`DataError` that names a file which is not a readable image.
    """
    path = Path(path)
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            if upright.mode.startswith("I"):  # I;16, I;16B and, from some formats, 16 bits held in 32
                values = np.asarray(upright).astype(np.int64)
                if values.size and (values.min() < 0 or values.max() > 65535):
                    raise DataError(f"{path}: 32-bit pixel values; convert it to 8 or 16 bits first")
                return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
            if upright.mode in ("P", "PA"):
                upright = upright.convert("RGBA")  # a palette's transparency converts in two steps only
            return upright.convert("RGB")
    except FileNotFoundError as exc:
        raise DataError(f"{path}: no such file") from exc
    except IsADirectoryError as exc:
        raise DataError(f"{path} is a folder; give image files") from exc
    except UnidentifiedImageError as exc:
        raise DataError(f"{path}: not an image that Pillow can read") from exc
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError
    ) as exc:  # fmt: skip
        raise DataError(f"{path}: unreadable image ({' '.join(str(exc).split())})") from exc


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
