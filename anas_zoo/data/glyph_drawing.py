"""Draws one character as an image: a random view of its ink over a random background, blurred, with noise.

All lengths are pixels of the finished image unless a name says otherwise; colours and ink run from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 32
STROKES = (0, 1, 2, 3)  # by how many pixels of the 64-pixel font an outline is thickened
FONT_SIZE = 64
OVERSAMPLING = 2  # views are drawn that much larger and averaged, or thin strokes would fray
LUMINANCE = np.array([0.299, 0.587, 0.114])

Plane = npt.NDArray[np.float32]


@dataclass
class Inks:
    """The ink of characters, each drawn once per (font, character, stroke) and cropped to what is inked.

    A copy that travels to another process starts empty: fonts cannot be pickled everywhere.
    """

    _fonts: dict[Path, ImageFont.FreeTypeFont] = field(default_factory=dict)
    _inks: dict[tuple[Path, str, int], Image.Image] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"_fonts": {}, "_inks": {}}

    def ink(self, font: Path, character: str, stroke: int = 0) -> Image.Image:
        """Ink of one character, mode L with a clear border. Raises :class:`OSError` on an unreadable font."""
        key = (font, character, stroke)
        if key not in self._inks:
            self._inks[key] = self._draw(font, character, stroke)
        return self._inks[key]

    def _draw(self, font: Path, character: str, stroke: int) -> Image.Image:
        if font not in self._fonts:
            # The basic layout is part of every build of Pillow; the other one is not.
            layout = ImageFont.Layout.BASIC
            self._fonts[font] = ImageFont.truetype(str(font), FONT_SIZE, layout_engine=layout)
        canvas = Image.new("L", (3 * FONT_SIZE, 3 * FONT_SIZE))
        place = (FONT_SIZE, FONT_SIZE)
        ImageDraw.Draw(canvas).text(place, character, 255, self._fonts[font], stroke_width=stroke)
        left, top, right, bottom = canvas.getbbox() or (0, 0, 1, 1)
        return canvas.crop((left - 2, top - 2, right + 2, bottom + 2))


@dataclass(frozen=True)
class View:
    """A linear map of ink into the image, and half the width and height of what it covers there."""

    matrix: tuple[float, float, float, float]
    half_width: float
    half_height: float


def draw_glyph(inks: Inks, font: Path, character: str, strays: str, rng: np.random.Generator) -> Image.Image:
    """``character`` as an RGB image of 32×32; parts of ``strays`` may lie beside it.

    All that is random is drawn from ``rng``.
    """
    stroke = int(rng.choice(STROKES, p=(0.4, 0.2, 0.2, 0.2)))
    if "Bol" in font.stem or font.stem == "cmb10":  # STIX writes Bol
        stroke = min(stroke, 1)  # more would close the holes of bold letters
    ink = inks.ink(font, character, stroke)
    view = draw_view(ink, rng, rng.uniform(15.0, 27.0))
    centre = draw_centre(view, rng)

    contrast = rng.uniform(0.25, 0.8)
    paper, paint = draw_colours(contrast, rng)
    canvas = draw_background(paper, contrast, rng)
    if rng.random() < 0.35:
        canvas = mix(canvas, draw_lines(rng), paint, rng.uniform(0.2, 0.65))
    if rng.random() < 0.5:
        beside = draw_neighbours(inks, font, strays, view, centre, rng)
        canvas = mix(canvas, beside, paint, rng.uniform(0.4, 1.0))
    canvas = mix(canvas, render(ink, view, centre), paint, 1.0)

    image = Image.fromarray(to_bytes(canvas))
    if rng.random() < 0.6:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    noise = rng.standard_normal((SIDE, SIDE, 3), np.float32)
    if rng.random() < 0.5:
        noise = noise[:, :, :1]  # grey noise
    strength = rng.uniform(0.0, 0.22) * contrast
    return Image.fromarray(to_bytes(np.asarray(image, np.float32) / 255 + noise * np.float32(strength)))


def draw_view(ink: Image.Image, rng: np.random.Generator, longest: float) -> View:
    """A view of ``ink`` whose longer side becomes about ``longest`` pixels."""
    width, height = ink.size
    scale = longest / max(width, height)
    # 6 and 9 stay apart, and so do the letters that are others lying on their side (N and Z).
    angle = math.radians(rng.uniform(-18.0, 18.0))
    shear = rng.uniform(-0.22, 0.22)
    stretch = math.exp(rng.uniform(-0.14, 0.14))
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    a, b = cos * stretch, (cos * shear - sin) / stretch
    c, d = sin * stretch, (sin * shear + cos) / stretch
    half_width = (abs(a) * width + abs(b) * height) / 2
    half_height = (abs(c) * width + abs(d) * height) / 2
    return View((a, b, c, d), half_width, half_height)


def draw_centre(view: View, rng: np.random.Generator) -> tuple[float, float]:
    """Where a view's middle goes: anywhere such that hardly a pixel of it is lost."""
    room = [max(1.0, SIDE / 2 - half + 1.0) for half in (view.half_width, view.half_height)]
    return SIDE / 2 + rng.uniform(-room[0], room[0]), SIDE / 2 + rng.uniform(-room[1], room[1])


def render(ink: Image.Image, view: View, centre: tuple[float, float]) -> Plane:
    """``ink`` seen through ``view`` with its middle at ``centre`` (x, y): (32, 32), 0 clear to 1 inked."""
    a, b, c, d = (value * OVERSAMPLING for value in view.matrix)
    x, y = (value * OVERSAMPLING for value in centre)
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    back = (a, b, ink.width / 2 - a * x - b * y, c, d, ink.height / 2 - c * x - d * y)
    side = SIDE * OVERSAMPLING
    large = ink.transform((side, side), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.asarray(large.reduce(OVERSAMPLING), np.float32) / np.float32(255)


def draw_colours(contrast: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Colours (3,) of paper and paint, ``contrast`` apart in luminance, either one the lighter."""
    darker = rng.uniform(0.05, 0.95 - contrast)
    levels = [darker, darker + contrast]
    if rng.random() < 0.5:
        levels.reverse()
    tints = rng.uniform(-1.0, 1.0, (2, 3)) * rng.uniform(0.0, 0.4)
    tints -= (tints * LUMINANCE).sum(axis=1, keepdims=True)  # a tint leaves the luminance as it is
    paper, paint = np.clip(np.array(levels)[:, None] + tints, 0, 1).astype(np.float32)
    return paper, paint


def draw_background(paper: Plane, contrast: float, rng: np.random.Generator) -> Plane:
    """Paper of one colour, a gradient, a cloudy texture or stripes: (32, 32, 3)."""
    strength = rng.uniform(0.15, 0.5) * contrast
    kind = rng.integers(4)
    pattern: Plane = np.zeros((SIDE, SIDE, 1), np.float32)
    if kind in (1, 3):
        turn = rng.uniform(0.0, 2 * math.pi)
        axis = (np.arange(SIDE) - (SIDE - 1) / 2) / SIDE
        slope = (math.cos(turn) * axis[:, None] + math.sin(turn) * axis[None, :])[:, :, None]
        stripes = rng.uniform(1.5, 6.0)
        # In double precision, as the last digit of a sine depends on the processor.
        wave = slope * 2 if kind == 1 else np.sin(2 * math.pi * stripes * slope) / 2
        pattern = wave.astype(np.float32)
    elif kind == 2:
        cells = int(rng.integers(3, 12))
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        cloud = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pattern = np.asarray(cloud, np.float32) / np.float32(127.5) - np.float32(1)
    return paper + pattern * np.float32(strength)


def draw_lines(rng: np.random.Generator) -> Plane:
    """One to four straight lines across the image: (32, 32) like :func:`render`."""
    side = SIDE * OVERSAMPLING
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 5)):
        ends = rng.integers(-side // 4, side + side // 4, 4).tolist()
        pen.line(ends, fill=255, width=int(rng.integers(1, 5)))
    return np.asarray(canvas.reduce(OVERSAMPLING), np.float32) / np.float32(255)


def draw_neighbours(
    inks: Inks, font: Path, strays: str, view: View, centre: tuple[float, float], rng: np.random.Generator
) -> Plane:
    """One or two other characters beside a view, cut off by the edge: (32, 32) like :func:`render`."""
    cover = np.zeros((SIDE, SIDE), np.float32)
    for side in rng.permutation(4)[: rng.integers(1, 3)].tolist():
        ink = inks.ink(font, strays[rng.integers(len(strays))])
        other = draw_view(ink, rng, rng.uniform(14.0, 26.0))
        gap, slide = rng.uniform(-0.5, 3.0), rng.uniform(-6.0, 6.0)
        across = view.half_width + other.half_width + gap
        along = view.half_height + other.half_height + gap
        dx, dy = ((across, slide), (-across, slide), (slide, along), (slide, -along))[side]
        cover = np.maximum(cover, render(ink, other, (centre[0] + dx, centre[1] + dy)))
    return cover


def mix(canvas: Plane, cover: Plane, paint: Plane, opacity: float) -> Plane:
    """``canvas`` (32, 32, 3) with ``paint`` (3,) laid on where ``cover`` (32, 32) says."""
    return canvas + (cover * np.float32(opacity))[:, :, None] * (paint - canvas)


def to_bytes(pixels: Plane) -> npt.NDArray[np.uint8]:
    """Pixels from 0..1 as bytes; what is outside is clipped."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
