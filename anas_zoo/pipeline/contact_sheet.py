"""The contact sheet: the images that a network was most sure of and wrong about, in one PNG.

It shows the user's own images, so it lies beside what is published and never in it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import atomic_write
from anas_zoo.core.geometry import Transparency
from anas_zoo.core.images import opaque
from anas_zoo.core.text import one_line
from anas_zoo.data import ImageSource
from anas_zoo.data.sources import file_of
from anas_zoo.entry import Accuracy, Mistake
from anas_zoo.zoo.evidence_tables import class_name

COLUMNS = 4
TILE_PX = 180  # side of the square that an image is fitted into
GAP_PX, LINE_PX, TITLE_PX = 14, 17, 40
LINES = 3  # under an image
TEXT, QUIET, WRONG = "#1c2833", "#586673", "#a8331a"


def draw_contact_sheet(
    path: Path,
    accuracy: Accuracy,
    source: ImageSource,
    label_names: Sequence[str] | None,
    *,
    name: str,
    transparency: Transparency = "white",
) -> bool:
    """Write the PNG ``path`` with the mistakes of ``accuracy``; False, and no file, where there are none.

    Args:
        path: the file; replaced if it is there.
        accuracy: what was measured on images of ``source``.
        source: that the images are read from again; one that cannot be read any more is an empty square.
        label_names: the network's classes; None for their numbers.
        name: of the network, for the title.
        transparency: how the network sees transparent parts.
    """
    if not accuracy.mistakes:
        return False
    shown = accuracy.mistakes
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    cell = TILE_PX + LINES * LINE_PX + GAP_PX
    # A title needs the width of three images.
    width = max(columns, 3) * (TILE_PX + GAP_PX) + GAP_PX
    sheet = Image.new("RGB", (width, TITLE_PX + rows * cell + GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    wrong = accuracy.images - round(accuracy.top1_pct * accuracy.images / 100)
    title = f"{name}: the {len(shown)} surest of {wrong} mistakes in {accuracy.images} images"
    _write(draw, (GAP_PX, GAP_PX), title, 15, TEXT, width - 2 * GAP_PX)
    for number, mistake in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = GAP_PX + column * (TILE_PX + GAP_PX), TITLE_PX + row * cell
        try:
            tile = _fitted(opaque(source.image(mistake.image), transparency))
        except DataError:
            tile = Image.new("RGB", (TILE_PX, TILE_PX), "#dddddd")
        sheet.paste(tile, (left + (TILE_PX - tile.width) // 2, top + (TILE_PX - tile.height) // 2))
        captions = _captions(mistake, source, label_names)
        for line, (text, colour) in enumerate(zip(captions, (TEXT, WRONG, QUIET), strict=True)):
            _write(draw, (left, top + TILE_PX + 2 + line * LINE_PX), text, 13, colour, TILE_PX)
    content = io.BytesIO()
    sheet.save(content, format="png")
    atomic_write(path, content.getvalue())
    return True


def image_name(source: ImageSource, index: int) -> str:
    """How an image is called: by its file where it has one, else by its number."""
    return file_of(source, index) or f"image {index}"


def _captions(mistake: Mistake, source: ImageSource, labels: Sequence[str] | None) -> tuple[str, str, str]:
    return (
        f"is {class_name(labels, mistake.label)}",
        f"taken for {class_name(labels, mistake.predicted)}, {mistake.confidence_pct:.1f} %",
        image_name(source, mistake.image),
    )


def _fitted(image: Image.Image) -> Image.Image:
    """The image within a tile: a large one made smaller, the pixels of a small one repeated."""
    factor = TILE_PX // max(image.size)
    if factor >= 1:
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    image.thumbnail((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
    return image


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: str, width: int
) -> None:
    """One line of text, its end left out where it is too long."""
    font = ImageFont.load_default(size)
    text = one_line(text).replace("–", "-")  # which this font lacks
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "...", font) > width:
            text = text[:-1]
        text += "..."
    draw.text(place, text, fill=colour, font=font)
