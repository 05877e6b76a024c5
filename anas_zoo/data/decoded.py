"""Images of a source decoded once, into a file that all processes of a run read in their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import disk_errors
from anas_zoo.core.progress import track
from anas_zoo.data.sources import ImageSource, file_of

INDEX, PIXELS = "index.npy", "pixels.bin"
MAX_BYTES = 2 * 2**30
PART_OF_FREE = 4  # of what is free on the disk, at most a fourth is taken
NOT_KEPT = -1
CHANNELS = {"RGB": 3, "RGBA": 4}


def write_decoded(source: ImageSource, indices: Sequence[int], folder: Path) -> int:
    """Decode the images ``indices`` of ``source`` into ``folder``, for :func:`with_decoded`.

    The first ones, as many as have room: :data:`MAX_BYTES`, and a part of what is free on the disk. An image
    that cannot be read is left out. The index is written last, so that a folder without one is no folder yet.

    Returns the bytes that were written. Raises :class:`DiskFullError` when the device is full.
    """
    # Of each image: where its pixels begin, its width, its height, and its channels.
    index = np.full((len(source.labels), 4), NOT_KEPT, dtype=np.int64)
    written = 0
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        room = min(MAX_BYTES, shutil.disk_usage(folder).free // PART_OF_FREE)
        with (folder / PIXELS).open("wb") as file:
            for number in track(indices, f"decode {len(indices)} images"):
                try:
                    image = source.image(number)
                except DataError:  # who asks for it is told why
                    continue
                channels = CHANNELS.get(image.mode)
                if channels is None or "transparency" in image.info:
                    continue
                pixels = image.tobytes()
                if written + len(pixels) > room:
                    break
                index[number] = (written, *image.size, channels)
                written += file.write(pixels)
        partial = folder / f".{INDEX}"
        with partial.open("wb") as file:
            np.save(file, index, allow_pickle=False)
        os.replace(partial, folder / INDEX)
    return written


def is_decoded(folder: Path) -> bool:
    """Whether :func:`write_decoded` has filled ``folder``."""
    return (folder / INDEX).is_file()


def with_decoded(source: ImageSource, folder: Path) -> ImageSource:
    """``source``, whose images are read from ``folder`` where it has them; itself without such a folder."""
    try:
        index = np.load(folder / INDEX, allow_pickle=False)
        size = (folder / PIXELS).stat().st_size
    except (OSError, ValueError):
        return source
    kept = index[index[:, 0] != NOT_KEPT] if index.shape == (len(source.labels), 4) else index[:0]
    if not len(kept) or int((kept[:, 0] + kept[:, 1:].prod(1)).max()) > size:
        return source
    return _Decoded(source, index, folder / PIXELS)


class _Decoded:
    """A source most of whose images are decoded in a file; see :func:`with_decoded`."""

    def __init__(self, source: ImageSource, index: npt.NDArray[np.int64], file: Path) -> None:
        self._source, self._index, self._file = source, index, file
        self._pixels: npt.NDArray[np.uint8] | None = None  # once it is mapped
        self.name, self.title, self.licence = source.name, source.title, source.licence
        self.label_names, self.preprocessing = source.label_names, source.preprocessing
        self.labels, self.test_indices = source.labels, source.test_indices

    def image(self, index: int) -> Image.Image:
        start, width, height, channels = self._index[index].tolist()
        if start == NOT_KEPT:
            return self._source.image(index)
        if self._pixels is None:
            self._pixels = np.memmap(self._file, np.uint8, "r")
        pixels = self._pixels[start : start + width * height * channels]
        return Image.frombytes("RGB" if channels == 3 else "RGBA", (width, height), pixels.tobytes())

    def file_name(self, index: int) -> str | None:
        return file_of(self._source, index)

    def fingerprint(self) -> str:
        return self._source.fingerprint()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None}  # another process maps the file itself
