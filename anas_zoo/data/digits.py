"""The smallest built-in source: handwritten digits that scikit-learn brings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.files import sha256_bytes
from anas_zoo.entry import Preprocessing


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
        self.test_indices: npt.NDArray[np.int64] | None = None
        # Grey levels are 0-16; 255/16 spreads them over a byte, rounded.
        self._pixels = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)

    def image(self, index: int) -> Image.Image:
        """Scan ``index`` as an 8×8 RGB image."""
        return Image.fromarray(self._pixels[index]).convert("RGB")

    def fingerprint(self) -> str:
        """Hash of all pixels and labels."""
        return sha256_bytes(self._pixels.tobytes() + self.labels.tobytes())
