"""A built-in source of many small colour images: characters drawn from the fonts that matplotlib brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import sha256_bytes
from anas_zoo.data.glyph_drawing import SIDE, Inks, draw_glyph
from anas_zoo.entry import Preprocessing

# The classes of EMNIST balanced: a small letter is a class of its own where it is not its capital in small.
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"

# No family is in both parts, so the test asks for the characters, not for letter forms seen before. (cmss10
# and cmtt10 belong with cmr10 by name, but are a sans serif and a typewriter face.)
TRAIN_FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "cmr10",
    "cmb10",
    "cmti10",
)
TEST_FONTS = (
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmss10",
    "cmtt10",
)

SAMPLES = 16  # images of each part that stand for the rasteriser in a fingerprint


class GlyphsSource:
    """47 classes of characters, 32×32 RGB, drawn when asked for; by default 18,800 + 2,820 images.

    Training images use DejaVu Sans, Sans Mono and Serif in all styles and Computer Modern Roman, Bold and
    Text Italic; test images STIX General in all styles, Computer Modern Sans Serif and Typewriter. Position,
    size, rotation (18° at most), slant, stroke, colours, background, clutter, blur and noise vary.

    Classes take turns (``index % 47``), first in the training images, then in the test images that follow.
    An image depends on the seed, its part and its number in that part; not on how many others there are.
    Raises :class:`DataError` where matplotlib came without one of the fonts.
    """

    name = "glyphs"
    title = (
        "Characters drawn from fonts: DejaVu and Computer Modern Roman for training, "
        "STIX General and Computer Modern Sans and Typewriter for testing"
    )
    # Of the images. The fonts are free too: DejaVu (Bitstream Vera's terms), STIX (its own), cm* (BaKoMa's).
    licence = "Apache-2.0"
    label_names = tuple(CHARACTERS)
    # Characters reach to the edge, so nothing is cropped.
    preprocessing = Preprocessing(
        interpolation="bilinear", crop_pct=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )

    def __init__(self, train_per_class: int = 400, test_per_class: int = 60, seed: int = 0) -> None:
        self.train_per_class, self.test_per_class, self.seed = train_per_class, test_per_class, seed
        self._train_count = train_per_class * len(CHARACTERS)
        count = self._train_count + test_per_class * len(CHARACTERS)
        # Both parts begin with class 0, as the training part holds every class equally often.
        self.labels: npt.NDArray[np.int64] = np.arange(count, dtype=np.int64) % len(CHARACTERS)
        self.test_indices: npt.NDArray[np.int64] | None = np.arange(self._train_count, count, dtype=np.int64)
        self._fonts = find_fonts(TRAIN_FONTS), find_fonts(TEST_FONTS)
        self._inks = Inks()
        self._drawn: dict[int, bytes] = {}

    def image(self, index: int) -> Image.Image:
        """Character ``index`` as a 32×32 RGB image. Raises :class:`IndexError` outside the collection."""
        if not 0 <= index < len(self.labels):
            raise IndexError(f"image {index} of {len(self.labels)}")
        if index not in self._drawn:  # 3 kB each; a run reads them at many sizes
            self._drawn[index] = self._draw(index).tobytes()
        return Image.frombytes("RGB", (SIDE, SIDE), self._drawn[index])

    def _draw(self, index: int) -> Image.Image:
        part = int(index >= self._train_count)
        number = index - part * self._train_count
        rng = np.random.default_rng([self.seed, part, number])
        fonts = self._fonts[part]
        font = fonts[rng.integers(len(fonts))]
        return draw_glyph(self._inks, font, CHARACTERS[self.labels[index]], CHARACTERS, rng)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_drawn": {}}  # another process draws its own

    def fingerprint(self) -> str:
        """Hash of the parameters, the fonts' files, and some drawn images: another rasteriser shows."""
        fonts = [sha256_bytes(font.read_bytes()) for part in self._fonts for font in part]
        parameters = [self.train_per_class, self.test_per_class, self.seed, CHARACTERS]
        starts = (0, self._train_count)
        pixels = [self._draw(start + i).tobytes() for start in starts for i in range(SAMPLES)]
        return sha256_bytes(json.dumps([*parameters, *fonts]).encode() + b"".join(pixels))


def find_fonts(names: tuple[str, ...]) -> tuple[Path, ...]:
    """The files of matplotlib's fonts ``names``. Raises :class:`DataError` naming one that is missing."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = tuple(folder / f"{name}.ttf" for name in names)
    for path in paths:
        if not path.is_file():
            raise DataError(
                f"no font {path.name} in {folder}; glyphs needs the fonts of matplotlib's own package: "
                "pip install --force-reinstall matplotlib"
            )
    return paths
