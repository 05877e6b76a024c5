"""Reading an image the same way everywhere: for training, for measuring and for predicting."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from anas_zoo.core.errors import DataError
from anas_zoo.core.geometry import Interpolation, Transparency, crop_offset, is_strip, resized_size
from anas_zoo.core.outside import refuse_irregular

__all__ = ["opaque", "read_image", "resized_and_cropped"]

# What cameras, phones and the web make. Of others Pillow reads one by running a program (EPS).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
# Pillow's own limit, above which it only warns: 89 million pixels, 270 MB. A small file can claim any size.
MAX_PIXELS = 2**30 // 4 // 3
FARTHEST = 3  # pixels of the result that a filter reaches: Lanczos'
SAMPLE_BITS = {"1": 1, "L;2": 2, "L;4": 4, "RGB;16B": 16}  # of a PNG, by Pillow's name; of others 8


def read_image(
    source: str | Path | bytes | BinaryIO | Image.Image, *, name: str | None = None
) -> Image.Image:
    """An image as people see it: upright, 8 bits, RGB; RGBA where parts are transparent (:func:`opaque`).

    16 bits are scaled to 8 (Pillow's own conversion of grey ones clips them to white); grey, palette and CMYK
    are converted. Pixels that are floating-point numbers or go beyond 16 bits have no scale that could be
    known, and are refused.

    Args:
        source: a file's path, the bytes of a file, a file open for reading, or an image that Pillow opened;
            what was open stays open.
        name: what errors call the image; default is the path.

    Raises :class:`DataError` that names what is not a readable image.
    """
    what = name or (str(source) if isinstance(source, str | Path) else "the image given")
    try:
        if isinstance(source, Image.Image):
            return _upright(source, what)
        if isinstance(source, str | Path) and not Path(source).is_dir():
            refuse_irregular(Path(source), DataError)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            _refuse_unusual(file, what)
            return _upright(file, what)
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


def opaque(image: Image.Image, transparency: Transparency) -> Image.Image:
    """The RGB image of what :func:`read_image` gives, or of another: on white, or without transparency."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")  # a palette's transparency converts in two steps only
    rgb = rgba.convert("RGB")
    if transparency == "dropped":
        return rgb
    white = Image.new("RGB", image.size, "white")
    white.paste(rgb, None, rgba.getchannel("A"))
    return white


def resized_and_cropped(
    image: Image.Image, short_side: int, side: int, interpolation: Interpolation
) -> Image.Image:
    """The middle ``side`` × ``side`` pixels of an RGB ``image`` once it has that short side: as torchvision.

    Of an image that is more than a hundred times as long as wide, the rest is never made: its resized form
    may be gigabytes. The result is then equal within a grey level; but ``nearest`` and ``box`` have edges,
    where a few pixels may be their neighbours.
    """
    size = resized_size(*image.size, short_side)
    resample = Image.Resampling[interpolation.upper()]
    if is_strip(*image.size):
        return _middle_of_strip(image, size, side, resample)
    if image.size != size:
        image = image.resize(size, resample)
    left, top = (crop_offset(length, side) for length in size)
    return image.crop((left, top, left + side, top + side))


def _middle_of_strip(
    image: Image.Image, size: tuple[int, int], side: int, resample: Image.Resampling
) -> Image.Image:
    wide = image.width > image.height
    length, resized = max(image.size), max(size)
    scale = length / resized
    start = crop_offset(resized, side) * scale
    reach = FARTHEST * max(scale, 1.0) + 1
    # Cut at whole pixels first: Pillow keeps the edges of a box in float32.
    first, beyond = max(0, math.floor(start - reach)), min(length, math.ceil(start + side * scale + reach))
    x0, x1 = start - first, start - first + side * scale
    if wide:
        image = image.crop((first, 0, beyond, image.height))
        image = image.resize((side, image.height), resample, (x0, 0, x1, image.height))
    else:
        image = image.crop((0, first, image.width, beyond))
        if scale <= 1:  # each way rounds to bytes; Pillow goes along the columns first where many rows go
            image = image.resize((size[0], image.height), resample)
        image = image.resize((image.width, side), resample, (0, x0, image.width, x1))
    image = image.resize((side, size[1]) if wide else (size[0], side), resample)
    margin = crop_offset(min(size), side)
    left, top = (0, margin) if wide else (margin, 0)
    return image.crop((left, top, left + side, top + side))


def _refuse_unusual(file: Image.Image, what: str) -> None:
    """Raise before any pixel is decoded."""
    if file.format not in FORMATS:
        raise DataError(f"{what}: an image in the format {file.format}; convert it to JPEG or PNG")
    if file.width * file.height > MAX_PIXELS:
        raise DataError(
            f"{what}: {file.width} × {file.height} pixels, over the limit of {MAX_PIXELS:,}; make it smaller"
        )


def _upright(image: Image.Image, what: str) -> Image.Image:
    clear = _clear_colour(image)
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # I;16, I;16B and, from some formats, 16 bits held in 32
        values = np.asarray(upright).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise DataError(f"{what}: pixel values outside 0 to 65535; convert it to 8 or 16 bits first")
        upright = Image.fromarray((values >> 8).astype(np.uint8))
    if upright.mode == "F":
        raise DataError(f"{what}: floating-point pixel values; convert it to 8 or 16 bits first")
    if clear is not None:
        upright.info["transparency"] = clear
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    rgba = upright.convert("RGBA")
    return rgba if rgba.getchannel("A").getextrema() != (255, 255) else rgba.convert("RGB")


def _clear_colour(image: Image.Image) -> int | tuple[int, ...] | None:
    """The colour of a grey or RGB PNG that its tRNS chunk makes transparent, in 8 bits as the pixels are."""
    colour = image.info.get("transparency")
    stored = getattr(image, "tile", None)  # empty once it was decoded
    bits = SAMPLE_BITS.get(str(stored[0].args), 8) if stored else 8
    if image.mode.startswith("I"):
        bits = 16
    if isinstance(colour, tuple):
        return tuple(level >> (bits - 8) for level in colour)
    if not isinstance(colour, int) or bits == 8:
        return colour
    return colour >> 8 if bits == 16 else colour * 255 // (2**bits - 1)
