"""Reading an image file the same way everywhere: for training, for measuring and for predicting."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from anas_zoo.errors import DataError

__all__ = ["read_rgb"]


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
