"""Reading an image the same way everywhere: for training, for measuring and for predicting."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from anas_zoo.core.errors import DataError
from anas_zoo.core.geometry import Interpolation, Transparency, crop_offset, resized_size
from anas_zoo.core.outside import refuse_irregular

# What cameras, phones and the web make. Of others Pillow reads one by running a program (EPS).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
# Pillow's own limit, above which it only warns: 89 million pixels, 270 MB. A small file can claim any size.
MAX_PIXELS = 2**30 // 4 // 3
LONGEST = 100  # times its width; enlarged to a network's input, a longer image may be gigabytes
SAMPLE_BITS = {"1": 1, "L;2": 2, "L;4": 4, "RGB;16B": 16}  # of a PNG, by Pillow's name; of others 8


def read_image(
    source: str | Path | bytes | BinaryIO | Image.Image, *, name: str | None = None
) -> Image.Image:
    """An image as people see it: upright, 8 bits, RGB; RGBA where parts are transparent (:func:`opaque`).

    16 bits are scaled to 8 (Pillow's own conversion of grey ones clips them to white); grey, palette and CMYK
    are converted. Pixels that are floating-point numbers or go beyond 16 bits have no scale that could be
    known, and are refused; so are images more than a hundred times as long as wide. What was open stays open.

    Raises :class:`DataError` that says what is not a readable image by its ``name``, or else its path.
    """
    what = name or (str(source) if isinstance(source, str | Path) else "the image given")
    try:
        if isinstance(source, Image.Image):
            return _upright(source, what)
        if isinstance(source, str | Path):
            refuse_irregular(Path(source), DataError)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            _refuse_unusual(file, what)
            return _upright(file, what)
    except FileNotFoundError as exc:
        raise DataError(f"{what}: no such file") from exc
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
    """The middle ``side`` × ``side`` pixels of ``image`` resized to ``short_side``, as in torchvision."""
    size = resized_size(*image.size, short_side)
    resample = Image.Resampling[interpolation.upper()]
    if image.size != size:
        image = image.resize(size, resample)
    left, top = (crop_offset(length, side) for length in size)
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
    if max(image.size) > LONGEST * min(image.size):
        raise DataError(
            f"{what}: {image.width} × {image.height} pixels, over {LONGEST} times as long as wide; cut it"
        )
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
