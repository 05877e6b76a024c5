"""Small real images of the digits, in the shapes that the sources read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from anas_zoo.data import DigitsSource

DIGITS = DigitsSource()


def write_digits(root: Path, per_class: int = 4, side: int = 24, first: int = 0, classes: int = 10) -> Path:
    """A folder of PNG files made from real digits, one sub-folder per class."""
    for label in range(classes):
        (root / f"digit{label}").mkdir(parents=True)
        for index in np.flatnonzero(DIGITS.labels == label)[first : first + per_class]:
            image = DIGITS.image(int(index)).resize((side, side))
            image.save(root / f"digit{label}" / f"{index}.png")
    return root


def encoded(index: int, side: int = 12, form: str = "png") -> bytes:
    """The bytes of an image file of digit ``index``."""
    buffer = io.BytesIO()
    DIGITS.image(index).resize((side, side)).save(buffer, form)
    return buffer.getvalue()
