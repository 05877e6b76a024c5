"""Sources of labelled images: the built-in digits, and whatever :func:`open_source` understands."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.data.folder import FolderSource
from anas_zoo.data.preprocessing import Preprocessing
from anas_zoo.errors import DataError, nearest
from anas_zoo.files import sha256_bytes

__all__ = ["DigitsSource", "ImageSource", "open_source"]

BUILT_IN = ("digits",)


class ImageSource(Protocol):
    """A numbered, labelled collection of images.

    Attributes:
        name: how to open it again (``open_source(name)``).
        title: what it is, for cards.
        licence: under which terms its images may be used.
        label_names: one name per class.
        labels: class index of each image, (N,) int64.
        preprocessing: how these images are turned into network inputs by default.
    """

    name: str
    title: str
    licence: str
    label_names: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    preprocessing: Preprocessing

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming a file that cannot be read."""
        ...

    def fingerprint(self) -> str:
        """Hash by which a split recognises the collection it was made for."""
        ...


class DigitsSource:
    """scikit-learn's copy of the UCI optical digits: 1,797 real 8×8 scans, bundled, no download."""

    name = "digits"
    title = "Optical Recognition of Handwritten Digits (UCI), test part as bundled with scikit-learn"
    licence = "CC-BY-4.0"
    label_names = tuple("0123456789")
    # The scans fill their 8×8 frame, so nothing is cropped.
    preprocessing = Preprocessing(
        interpolation="bilinear", crop_pct=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )

    def __init__(self) -> None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        self.labels: npt.NDArray[np.int64] = bunch.target.astype(np.int64)
        # Grey levels are 0-16; 255/16 spreads them over a byte, rounded.
        self._pixels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)

    def image(self, index: int) -> Image.Image:
        """Scan ``index`` as an 8×8 RGB image."""
        return Image.fromarray(self._pixels[index]).convert("RGB")

    def fingerprint(self) -> str:
        """Hash of all pixels and labels."""
        return sha256_bytes(self._pixels.tobytes() + self.labels.tobytes())


def open_source(name: str | Path) -> ImageSource:
    """The source of that name: ``digits``, or a folder with one sub-folder of images per class.

    Raises :class:`DataError` that says what there is.
    """
    if str(name) == "digits":
        return DigitsSource()
    path = Path(name)
    if not path.is_dir():
        raise DataError(
            f"no data source {str(name)!r}{nearest(str(name), BUILT_IN)}; give 'digits' or a folder with one "
            "sub-folder of images per class"
        )
    return FolderSource(path)
