"""A confusion matrix as a picture of the page: where its squares and names stand, for SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anas_zoo.entry import Accuracy
from anas_zoo.zoo.evidence_tables import class_name

MOST_CLASSES = 100  # more are a table of the most frequent confusions
NUMBERED = 20  # up to so many classes the squares are large enough for numbers
LARGE_PX, SMALL_PX = 34, 13  # side of a square with its number, and without
NAME_LETTERS, LETTER_PX, EDGE_PX = 16, 7, 16  # how much of a name is shown, and the room for it
FAINTEST = 0.25  # opacity of one image among very many, which is still seen


@dataclass(frozen=True)
class Square:
    """The images of one class that were taken for one class.

    Attributes:
        x: left edge, in the picture's units.
        y: upper edge.
        count: how many images.
        opacity: by their share of the class, 0 to 1.
        correct: whether the two classes are one.
        title: the same in words.
    """

    x: int
    y: int
    count: int
    opacity: float
    correct: bool
    title: str

    @property
    def dark(self) -> bool:
        """Whether a number on it has to be light."""
        return self.opacity > 0.55


@dataclass(frozen=True)
class HeatMap:
    """A square for each pair of classes that has images; classes are rows, what they were taken for columns.

    Attributes:
        side: of the whole picture, names included.
        step: side of a square.
        start: where the first row and the first column begin.
        names: of the classes, shortened: (short, whole, middle of its row or column).
        squares: only those with images.
        numbered: whether the squares are large enough for their counts.
    """

    side: int
    step: int
    start: int
    names: list[tuple[str, str, float]]
    squares: list[Square]
    numbered: bool


def heat_map(accuracy: Accuracy, labels: Sequence[str] | None) -> HeatMap | None:
    """The picture of a confusion matrix; None without one and for very many classes."""
    classes = accuracy.classes
    if accuracy.confusion is None or not 1 < len(classes) <= MOST_CLASSES:
        return None
    numbered = len(classes) <= NUMBERED
    step = LARGE_PX if numbered else SMALL_PX
    names = [class_name(labels, label) for label in classes]
    start = EDGE_PX + LETTER_PX * max(len(_short(name)) for name in names)
    place = {label: start + number * step for number, label in enumerate(classes)}
    squares = []
    for label, row in accuracy.confusion.items():
        images = sum(row.values())
        for predicted, count in row.items():
            is_what, as_what = class_name(labels, label), class_name(labels, predicted)
            squares.append(
                Square(
                    x=place[predicted],
                    y=place[label],
                    count=count,
                    opacity=round(FAINTEST + (1 - FAINTEST) * count / images, 3),
                    correct=label == predicted,
                    title=f"{is_what}: {count} of {images} images taken for {as_what}",
                )
            )
    return HeatMap(
        side=start + len(classes) * step + 1,
        step=step,
        start=start,
        names=[
            (_short(name), name, place[label] + step / 2) for name, label in zip(names, classes, strict=True)
        ],
        squares=squares,
        numbered=numbered,
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…"
