"""Names beside the points of a picture, placed so that they cover neither each other nor a marked point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

__all__ = ["Label", "place_labels"]

# Where a label may stand, in points from its point: near before far, above before below.
NEAR = [(0, 7), (0, -7), (8, 0), (-8, 0), (8, 8), (-8, 8), (8, -8), (-8, -8)]
PLACES = [*NEAR, *((x * far, y * far) for far in (2.5, 4.0, 6.0, 9.0) for x, y in NEAR)]
MARKER_PIXELS, POINT_PIXELS = 8.0, 4.0  # half the side of what a marker covers, and a small point
# What a place costs: each square pixel that it covers of a label or marker, and each point of distance. Of a
# small point a square pixel costs 1: a label may cover a few of them before it moves far away.
COVER_COST, DISTANCE_COST = 4.0, 2.0


@dataclass(frozen=True)
class Label:
    """A text for the point (x, y), in the coordinates of the data."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(
    axes: Axes, labels: Sequence[Label], avoid: Sequence[tuple[float, float]] = ()
) -> list[Bbox]:
    """Write each label at the best place near its point, from left to right.

    ``avoid`` are other points that should stay visible. The layout must be final: what is free is measured
    in pixels. A thin line leads from a label to its point. Returns where they stand, in pixels.
    """
    from matplotlib.text import Text

    inside = axes.get_window_extent()
    taken = [_around(axes, label.x, label.y, MARKER_PIXELS) for label in labels]
    points = [_around(axes, x, y, POINT_PIXELS) for x, y in avoid]
    placed: list[Bbox] = []
    for label in sorted(labels, key=lambda item: (item.x, item.y, item.text)):
        note = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=label.colour,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.7,
                "shrinkA": 0,
                "shrinkB": 4,
            },
            parse_math=False,  # a name with two dollar signs is no formula
            zorder=5,
        )
        size = Text.get_window_extent(note)  # of the text alone, without the line to its point
        anchor = axes.transData.transform((label.x, label.y))
        boxes = [_standing(anchor, place, size, axes.figure.dpi / 72) for place in PLACES]
        costs = [
            COVER_COST * (size.width * size.height - _shared(box, inside))
            + COVER_COST * sum(_shared(box, other) for other in taken)
            + sum(_shared(box, point) for point in points)
            + DISTANCE_COST * math.hypot(*place)
            for box, place in zip(boxes, PLACES, strict=True)
        ]
        best = costs.index(min(costs))
        right, up = PLACES[best]
        note.set_position((right, up))
        note.set_horizontalalignment("left" if right > 0 else "right" if right < 0 else "center")
        note.set_verticalalignment("bottom" if up > 0 else "top" if up < 0 else "center")
        placed.append(boxes[best])
        taken.append(boxes[best])
    return placed


def _standing(anchor: Iterable[float], place: tuple[float, float], size: Bbox, pixels: float) -> Bbox:
    """The box of a text at ``place`` (in points, of ``pixels`` each) from its anchor, leading away from it."""
    from matplotlib.transforms import Bbox

    left, bottom = (
        start + step * pixels - (0.0 if step > 0 else length if step < 0 else length / 2)
        for start, step, length in zip(anchor, place, (size.width, size.height), strict=True)
    )
    return Bbox.from_bounds(left, bottom, size.width, size.height)


def _around(axes: Axes, x: float, y: float, half: float) -> Bbox:
    """The box of ``half`` pixels to each side of a point of the data."""
    from matplotlib.transforms import Bbox

    right, up = axes.transData.transform((x, y))
    return Bbox.from_extents(right - half, up - half, right + half, up + half)


def _shared(one: Bbox, other: Bbox) -> float:
    """The area that two boxes share, in square pixels."""
    width = float(min(one.x1, other.x1) - max(one.x0, other.x0))
    height = float(min(one.y1, other.y1) - max(one.y0, other.y0))
    return max(width, 0.0) * max(height, 0.0)
