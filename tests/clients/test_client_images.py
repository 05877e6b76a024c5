"""The JavaScript clients read image files as anas_zoo.core.images does: to the last bit."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from javascript import run_cases
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.datasets import load_sample_image

from anas_zoo.core.geometry import Transparency
from anas_zoo.core.images import opaque, read_image

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A part of a real photograph, 93 × 61."""
    return Image.fromarray(load_sample_image("china.jpg")).crop((200, 100, 293, 161))


def assert_read_as_here(folder: Path, paths: list[Path]) -> None:
    """Every file gives the same pixels in JavaScript and in Python, whatever becomes of transparent parts."""
    ways = [(path, way) for path in paths for way in get_args(Transparency)]
    cases = [{"do": "read", "path": str(path), "transparency": way} for path, way in ways]
    for (path, way), result in zip(ways, run_cases(folder, cases), strict=True):
        want = np.asarray(opaque(read_image(path), way))
        assert "error" not in result, f"{path.name}: {result}"
        assert (result["height"], result["width"]) == want.shape[:2], path.name
        np.testing.assert_array_equal(np.fromfile(result["file"], np.uint8), want.ravel(), path.name)


def test_png_of_every_kind(tmp_path: Path, photo: Image.Image) -> None:
    grey = photo.convert("L")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        photo.convert(mode).save(tmp_path / f"{mode}.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    for bits in (1, 2, 4):
        photo.quantize(2**bits).save(tmp_path / f"palette{bits}.png", bits=bits)
    photo.quantize(16).save(tmp_path / "palette.png", transparency=bytes(range(0, 256, 16)))
    photo.save(tmp_path / "colour.png", transparency=photo.getpixel((3, 3)))
    grey.save(tmp_path / "grey.png", transparency=grey.getpixel((3, 3)))
    (alpha := photo.copy()).putalpha(grey)
    alpha.save(tmp_path / "alpha.png")
    gamma = PngInfo()
    gamma.add(b"gAMA", struct.pack(">I", 100_000))  # which browsers would apply, and Pillow does not
    grey.save(tmp_path / "gamma.png", pnginfo=gamma)
    (work := tmp_path / "work").mkdir()
    assert_read_as_here(work, sorted(tmp_path.glob("*.png")))


def test_jpeg_of_every_kind(tmp_path: Path, photo: Image.Image) -> None:
    for subsampling, quality, progressive in itertools.product((0, 1, 2), (30, 95), (False, True)):
        path = tmp_path / f"{subsampling}-{quality}-{progressive}.jpg"
        photo.convert("RGB").save(path, subsampling=subsampling, quality=quality, progressive=progressive)
    photo.convert("L").save(tmp_path / "grey.jpg")
    (work := tmp_path / "work").mkdir()
    assert_read_as_here(work, sorted(tmp_path.glob("*.jpg")))


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_images_are_turned_upright(ending: str, tmp_path: Path, photo: Image.Image) -> None:
    for orientation in range(10):  # 0 and 9 mean nothing
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        photo.convert("RGB").save(tmp_path / f"{orientation}.{ending}", exif=exif)
    (work := tmp_path / "work").mkdir()
    assert_read_as_here(work, sorted(tmp_path.glob(f"*.{ending}")))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def _overwritten(path: Path) -> None:
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + b"\xff" * 99 + data[half + 99 :])


def _huge(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    path.write_bytes(data)


def _huge_jpeg(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 9_000, 10_000)
    path.write_bytes(data)


UNREADABLE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("png", _cut, "the PNG is cut off"),
    ("png", _overwritten, "the PNG is damaged"),
    ("png", _huge, "the image is too large (100000 × 100000 pixels)"),
    ("jpg", _huge_jpeg, "the image is too large (10000 × 9000 pixels)"),
    ("jpg", _cut, "the JPEG is cut off"),
    ("jpg", lambda path: Image.new("CMYK", (4, 4)).save(path), "a CMYK JPEG; convert it to RGB first"),
    ("gif", lambda path: None, "neither PNG nor JPEG; convert it first"),
    ("png", lambda path: path.write_bytes(b""), "neither PNG nor JPEG; convert it first"),
    ("png", Path.unlink, "no such file"),
]


def test_an_unreadable_image_is_one_line_that_names_it(tmp_path: Path, photo: Image.Image) -> None:
    paths = []
    for index, (ending, spoil, _) in enumerate(UNREADABLE):
        paths.append(path := tmp_path / f"{index}.{ending}")
        photo.convert("RGB").save(path)
        spoil(path)
    (work := tmp_path / "work").mkdir()
    results = run_cases(work, [{"do": "read", "path": str(path)} for path in paths])
    wanted = [f"{path}: {why}" for path, (_, _, why) in zip(paths, UNREADABLE, strict=True)]
    assert [result.get("error") for result in results] == wanted
