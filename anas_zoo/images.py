"""Reading an image the same way everywhere: for training, for measuring and for predicting."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from anas_zoo.errors import DataError
from anas_zoo.outside import refuse_irregular

__all__ = ["read_rgb"]

# What cameras, phones and the web make. Of others Pillow reads one by running a program (EPS).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
# Pillow's own limit, above which it only warns: 89 million pixels, 270 MB. A small file can claim any size.
MAX_PIXELS = 2**30 // 4 // 3


def read_rgb(source: str | Path | bytes | BinaryIO | Image.Image, *, name: str | None = None) -> Image.Image:
    """An image as people see it: upright, RGB, 8 bits.

    16 bits are scaled to 8 (Pillow's own conversion of grey ones clips them to white); grey, palette and CMYK
    are converted; transparency is dropped as timm's readers do, so that what lies under it shows. Pixels that
    are floating-point numbers or go beyond 16 bits have no scale that could be known, and are refused.

    Args:
        source: a file's path, the bytes of a file, a file open for reading, or an image that Pillow opened;
            what was open stays open.
        name: what errors call the image; default is the path.

    Raises :class:`DataError` that names what is not a readable image.
    """
    what = name or (str(source) if isinstance(source, str | Path) else "the image given")
    try:
        if isinstance(source, Image.Image):
            return _upright_rgb(source, what)
        if isinstance(source, str | Path) and not Path(source).is_dir():
            refuse_irregular(Path(source), DataError)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            _refuse_unusual(file, what)
            return _upright_rgb(file, what)
    except FileNotFoundError as exc:
        raise DataError(f"{what}: no such file") from exc
    except IsADirectoryError as exc:
        raise DataError(f"{what} is a folder; give image files") from exc
    except UnidentifiedImageError as exc:
        raise DataError(f"{what}: not an image that Pillow can read") from exc
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise DataError(f"{what}: more pixels than the limit of {MAX_PIXELS:,}; make it smaller") from exc
    except Exception as exc:  # a damaged file fails in as many ways as Pillow has decoders
        raise DataError(f"{what}: unreadable image ({' '.join(str(exc).split())})") from exc


def _refuse_unusual(file: Image.Image, what: str) -> None:
    """Raise before any pixel is decoded."""
    if file.format not in FORMATS:
        raise DataError(f"{what}: an image in the format {file.format}; convert it to JPEG or PNG")
    if file.width * file.height > MAX_PIXELS:
        raise DataError(
            f"{what}: {file.width} × {file.height} pixels, over the limit of {MAX_PIXELS:,}; make it smaller"
        )


def _upright_rgb(image: Image.Image, what: str) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # I;16, I;16B and, from some formats, 16 bits held in 32
        values = np.asarray(upright).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise DataError(f"{what}: pixel values outside 0 to 65535; convert it to 8 or 16 bits first")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if upright.mode == "F":
        raise DataError(f"{what}: floating-point pixel values; convert it to 8 or 16 bits first")
    if upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")  # a palette's transparency converts in two steps only
    return upright.convert("RGB")
