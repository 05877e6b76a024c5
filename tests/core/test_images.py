from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as tv

from anas_zoo.core.errors import DataError
from anas_zoo.core.geometry import Interpolation, resized_short_side
from anas_zoo.core.images import opaque, read_image, resized_and_cropped


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey image with an alpha channel that is to be shown after a quarter turn."""
    image = Image.linear_gradient("L").crop((0, 0, 6, 250)).convert("LA")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=exif)
    return tmp_path / "photo.png"


def test_every_form_of_an_image_reads_alike(photo: Path) -> None:
    image = read_image(photo)
    assert (image.mode, image.size) == ("RGB", (250, 6))
    assert read_image(str(photo)).tobytes() == image.tobytes()
    assert read_image(photo.read_bytes()).tobytes() == image.tobytes()
    with photo.open("rb") as file:
        assert read_image(file).tobytes() == image.tobytes()
        assert not file.closed
    with Image.open(photo) as opened:
        assert read_image(opened).tobytes() == image.tobytes()
        assert opened.size == (6, 250)


def test_errors_call_the_image_by_its_name(photo: Path) -> None:
    broken = photo.read_bytes()[:-30]
    for source in (broken, io.BytesIO(broken)):
        with pytest.raises(DataError, match=r"^row 7: unreadable image"):
            read_image(source, name="row 7")
    with pytest.raises(DataError, match=r"^the image given: not an image that Pillow can read"):
        read_image(b"text")
    with Image.open(io.BytesIO(broken)) as opened, pytest.raises(DataError, match=r"^row 7: unreadable"):
        read_image(opened, name="row 7")
    photo.write_bytes(broken)
    with pytest.raises(DataError, match=rf"^{photo}: unreadable image"):
        read_image(photo)


Pixels = npt.NDArray[Any]  # (height, width, channels)

# 0, 1, 128 and 255 of 255, in 16 bits.
GREY16 = np.array([[[0], [257], [128 * 257], [65535]]], np.uint16)
RGB16 = np.array([[[0, 257, 65535], [10 * 257, 200 * 257, 128 * 257]]], np.uint16)
ALPHA16 = np.array([[[0], [65535]]], np.uint16)
GREY8, RGB8 = [[0] * 3, [1] * 3, [128] * 3, [255] * 3], [[0, 1, 255], [10, 200, 128]]

PNG_GREY, PNG_RGB, PNG_GREY_ALPHA, PNG_RGBA = 0, 2, 4, 6
TIFF_GREY, TIFF_RGB, TIFF_CMYK = 1, 2, 5


def png(depth: int, colour: int, row: bytes, width: int, clear: list[int] | None = None) -> bytes:
    """A PNG of one row, as Pillow reads but hardly writes it; ``clear``: the colour that tRNS makes clear."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0))]
    parts += [chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))] if clear else []
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png16(colour: int, pixels: Pixels) -> bytes:
    """One row of 16 bits a channel."""
    return png(16, colour, pixels[0].astype(">u2").tobytes(), pixels.shape[1])


def tiff(photometric: int, pixels: Pixels, *, order: str = "<", extra: int | None = None) -> bytes:
    """An uncompressed TIFF of any type of number."""
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
    bits, kind = pixels.dtype.itemsize * 8, {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = [(256, [width]), (257, [height]), (258, [bits] * channels), (259, [1]), (262, [photometric])]
    tags += [(273, [8]), (277, [channels]), (278, [height]), (279, [len(data)]), (284, [1])]
    tags += [(338, [extra])] if extra is not None else []
    tags += [(339, [kind] * channels)]
    start = 8 + len(data)
    body, beyond = struct.pack(f"{order}H", len(tags)), b""
    for tag, values in tags:
        content = struct.pack(f"{order}{len(values)}H", *values)
        if len(content) > 4:
            place = start + 2 + 12 * len(tags) + 4 + len(beyond)
            beyond, content = beyond + content, struct.pack(f"{order}I", place)
        body += struct.pack(f"{order}HHI", tag, 3, len(values)) + content.ljust(4, b"\0")
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, start)
    return head + data + body + bytes(4) + beyond


DEEP: dict[str, tuple[bytes, list[list[int]]]] = {
    "grey PNG": (png16(PNG_GREY, GREY16), GREY8),
    "RGB PNG": (png16(PNG_RGB, RGB16), RGB8),
    "RGBA PNG": (png16(PNG_RGBA, np.concatenate([RGB16, ALPHA16], axis=2)), RGB8),
    "grey and alpha PNG": (png16(PNG_GREY_ALPHA, np.concatenate([GREY16, GREY16[:, ::-1]], axis=2)), GREY8),
    "grey TIFF": (tiff(TIFF_GREY, GREY16), GREY8),
    "grey TIFF, big-endian": (tiff(TIFF_GREY, GREY16, order=">"), GREY8),
    "grey TIFF in 32 bits": (tiff(TIFF_GREY, GREY16.astype(np.int32)), GREY8),
    "RGB TIFF": (tiff(TIFF_RGB, RGB16), RGB8),
    "RGB TIFF, big-endian": (tiff(TIFF_RGB, RGB16, order=">"), RGB8),
    "RGBA TIFF": (tiff(TIFF_RGB, np.concatenate([RGB16, ALPHA16], axis=2), extra=2), RGB8),
    "CMYK TIFF": (
        tiff(TIFF_CMYK, np.array([[[0, 0, 0, 0], [65535, 0, 0, 0], [0, 0, 0, 65535]]], np.uint16)),
        [[255, 255, 255], [0, 255, 255], [0, 0, 0]],
    ),
}


@pytest.mark.parametrize("form", DEEP)
def test_sixteen_bits_become_eight(form: str) -> None:
    content, want = DEEP[form]
    image = read_image(content)
    assert image.mode == ("RGBA" if "RGBA" in form or "alpha" in form else "RGB")
    assert np.asarray(opaque(image, "dropped")).tolist() == [want]


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.array([[[0], [70_000]]], np.int32),
            "pixel values outside 0 to 65535; convert it to 8 or 16 bits",
        ),
        (np.array([[[-5], [100]]], np.int16), "pixel values outside 0 to 65535"),
        (np.array([[[0.0], [0.5]]], np.float32), "floating-point pixel values; convert it to 8 or 16 bits"),
    ],
)
def test_pixels_without_a_known_scale_are_refused(pixels: Pixels, message: str) -> None:
    with pytest.raises(DataError, match=f"^scan: {message}"):
        read_image(tiff(TIFF_GREY, pixels), name="scan")


WHITE = [255, 255, 255]


def stored(image: Image.Image, form: str = "png", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def shown(content: bytes) -> list[list[int]]:
    """The pixels of the first row on white."""
    row: list[list[int]] = np.asarray(opaque(read_image(content), "white"))[0].tolist()
    return row


def test_transparent_parts_are_laid_on_white() -> None:
    image = Image.new("RGBA", (4, 1))
    for place, pixel in enumerate([(250, 10, 20, 0), (30, 40, 50, 128), (1, 2, 3, 255), (0, 0, 0, 1)]):
        image.putpixel((place, 0), pixel)
    half = [round((255 * 127 + value * 128) / 255) for value in (30, 40, 50)]
    assert shown(stored(image)) == [WHITE, half, [1, 2, 3], [254] * 3]
    # As before, where an entry says so: what lies under transparent pixels shows, half transparent or not.
    dropped = opaque(read_image(stored(image)), "dropped")
    assert np.asarray(dropped).tolist() == [[[250, 10, 20], [30, 40, 50], [1, 2, 3], [0, 0, 0]]]
    grey = image.convert("LA")
    under = [grey.getpixel((place, 0))[0] for place in range(4)]  # type: ignore[index]
    alphas = [0, 128, 255, 1]
    want = [[round((255 * (255 - a) + v * a) / 255)] * 3 for v, a in zip(under, alphas, strict=True)]
    assert shown(stored(grey)) == want
    cmyk = Image.new("CMYK", (1, 1), (255, 0, 255, 0))
    assert shown(stored(cmyk, "tiff")) == [[0, 255, 0]]


def test_what_is_opaque_stays_rgb() -> None:
    image = Image.new("RGBA", (3, 2), (1, 2, 3, 255))
    assert read_image(stored(image)).mode == "RGB"
    assert read_image(stored(image.convert("LA"))).mode == "RGB"
    plain = read_image(stored(image.convert("RGB")))
    assert opaque(plain, "white").tobytes() == opaque(plain, "dropped").tobytes() == plain.tobytes()


@pytest.mark.parametrize("alphas", [bytes([0, 255, 128]), 0])
def test_the_transparent_colours_of_a_palette(alphas: bytes | int) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 10, 20, 30, 200, 100, 0])
    for place in range(3):
        image.putpixel((place, 0), place)
    last = [227, 177, 127] if isinstance(alphas, bytes) else [200, 100, 0]
    assert shown(stored(image, transparency=alphas)) == [WHITE, [10, 20, 30], last]
    assert shown(stored(image, "gif", transparency=0))[:2] == [WHITE, [10, 20, 30]]


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "key", "want"),
    [
        (1, PNG_GREY, b"\x40", [1], [[0] * 3, WHITE]),
        (1, PNG_GREY, b"\x40", [0], [WHITE, WHITE]),
        (2, PNG_GREY, b"\x60", [1], [WHITE, [170] * 3]),
        (4, PNG_GREY, b"\x3a", [3], [WHITE, [170] * 3]),
        (8, PNG_GREY, b"\x07\x08", [7], [WHITE, [8] * 3]),
        (16, PNG_GREY, b"\x07\x01\x08\x01", [0x0701], [WHITE, [8] * 3]),
        (8, PNG_RGB, b"\1\2\3\1\2\4", [1, 2, 3], [WHITE, [1, 2, 4]]),
        (16, PNG_RGB, b"\1\0\2\0\3\0\1\0\2\0\4\0", [0x100, 0x200, 0x300], [WHITE, [1, 2, 4]]),
    ],
)
def test_the_transparent_colour_of_a_png(
    depth: int, colour: int, rows: bytes, key: list[int], want: list[list[int]]
) -> None:
    assert shown(png(depth, colour, rows, 2, key)) == want


def test_a_transparent_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("L", (2, 1), 9)
    image.putpixel((0, 0), 200)
    turned = opaque(read_image(stored(image, exif=exif, transparency=9)), "white")
    assert np.asarray(turned).tolist() == [[[200] * 3], [WHITE]]


FILTERS: list[Interpolation] = ["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    side=st.integers(1, 40),
    crop_pct=st.floats(0.3, 1.0),
    interpolation=st.sampled_from(FILTERS),
)
def test_other_images_are_cut_as_torchvision_does(
    width: int, height: int, side: int, crop_pct: float, interpolation: Interpolation
) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    short_side = resized_short_side(side, crop_pct)
    resized = tv.resize(image, [short_side], tv.InterpolationMode(interpolation))
    want = tv.center_crop(resized, [side, side])
    assert resized_and_cropped(image, short_side, side, interpolation).tobytes() == want.tobytes()


def test_a_strip_is_refused(tmp_path: Path) -> None:
    Image.new("1", (10_000, 99)).save(tmp_path / "strip.png")
    with pytest.raises(DataError, match=r"strip\.png: 10000 × 99 pixels, over 100 times as long as wide"):
        read_image(tmp_path / "strip.png")
