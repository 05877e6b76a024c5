"""Names beside the points of a picture, placed so that they cover neither each other nor a marked point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

__all__ = ["Label", "place_labels"]

Boxes = npt.NDArray[np.float64]  # (N, 4): left, bottom, right, top in pixels

# Where a label may stand, in points from its point: near before far, above before below.
NEAR = [(0, 7), (0, -7), (8, 0), (-8, 0), (8, 8), (-8, 8), (8, -8), (-8, -8)]
PLACES = np.array([(x * far, y * far) for far in (1.0, 2.5, 4.0, 6.0, 9.0) for x, y in NEAR])
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
    from matplotlib.transforms import Bbox

    inside = np.array([axes.get_window_extent().extents])
    taken = _around(axes, [(label.x, label.y) for label in labels], MARKER_PIXELS)
    points = _around(axes, avoid, POINT_PIXELS)
    placed = []
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
        box = Text.get_window_extent(note)  # of the text alone, without the line to its point
        size = np.array([box.width, box.height])
        anchor = axes.transData.transform((label.x, label.y))
        # The text leads away from its point: left of it where the place is to the left, centred where above.
        corners = anchor + PLACES * axes.figure.dpi / 72 - size * (1 - np.sign(PLACES)) / 2
        boxes = np.hstack([corners, corners + size])
        outside = size.prod() - _shared(boxes, inside)[:, 0]
        costs = COVER_COST * (outside + _shared(boxes, taken).sum(axis=1)) + _shared(boxes, points).sum(
            axis=1
        )
        best = int(np.argmin(costs + DISTANCE_COST * np.hypot(*PLACES.T)))
        right, up = PLACES[best].tolist()
        note.set_position((right, up))
        note.set_horizontalalignment("left" if right > 0 else "right" if right < 0 else "center")
        note.set_verticalalignment("bottom" if up > 0 else "top" if up < 0 else "center")
        taken = np.vstack([taken, boxes[best]])
        placed.append(Bbox.from_extents(*boxes[best]))
    return placed


def _around(axes: Axes, points: Sequence[tuple[float, float]], half: float) -> Boxes:
    """The boxes of ``half`` pixels to each side of points of the data."""
    pixels = axes.transData.transform(np.array(points, dtype=float).reshape(-1, 2))
    return np.hstack([pixels - half, pixels + half])


def _shared(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """The area that each of ``boxes`` (N) shares with each of ``others`` (M), (N, M) in square pixels."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    area: npt.NDArray[np.float64] = np.clip(high - low, 0.0, None).prod(axis=2)
    return area
