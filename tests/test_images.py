from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from anas_zoo.errors import DataError
from anas_zoo.images import read_rgb


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A grey image with an alpha channel that is to be shown after a quarter turn."""
    image = Image.linear_gradient("L").crop((0, 0, 6, 250)).convert("LA")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "photo.png", exif=exif)
    return tmp_path / "photo.png"


def test_every_form_of_an_image_reads_alike(photo: Path) -> None:
    image = read_rgb(photo)
    assert (image.mode, image.size) == ("RGB", (250, 6))
    assert read_rgb(str(photo)).tobytes() == image.tobytes()
    assert read_rgb(photo.read_bytes()).tobytes() == image.tobytes()
    with photo.open("rb") as file:
        assert read_rgb(file).tobytes() == image.tobytes()
        assert not file.closed
    with Image.open(photo) as opened:
        assert read_rgb(opened).tobytes() == image.tobytes()
        assert opened.size == (6, 250)


def test_errors_call_the_image_by_its_name(photo: Path) -> None:
    broken = photo.read_bytes()[:-30]
    for source in (broken, io.BytesIO(broken)):
        with pytest.raises(DataError, match=r"^row 7: unreadable image"):
            read_rgb(source, name="row 7")
    with pytest.raises(DataError, match=r"^the image given: not an image that Pillow can read"):
        read_rgb(b"text")
    with Image.open(io.BytesIO(broken)) as opened, pytest.raises(DataError, match=r"^row 7: unreadable"):
        read_rgb(opened, name="row 7")
    photo.write_bytes(broken)
    with pytest.raises(DataError, match=rf"^{photo}: unreadable image"):
        read_rgb(photo)
