"""The rule by which a run flips its images, and the record of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import OutputError
from anas_zoo.core.schema import Schema, parse, read_json

Bools = npt.NDArray[np.bool_]

LOST = 0.2  # of what is known beyond guessing, that may be lost on flipped images
LOST_OF_CLASS = 0.5  # of a class's images that were right, where these are at least
FEWEST = 3


class FlipTrial(Schema):
    """``RUN/flips.json``: what a network that was trained without flips makes of flipped images.

    Attributes:
        top1_pct: on the search split.
        flipped_top1_pct: the same on flipped images.
        why_not: in words, why images are not flipped; None where they are.
    """

    top1_pct: float
    flipped_top1_pct: float
    why_not: str | None = None

    @classmethod
    def read(cls, file: Path) -> FlipTrial:
        """The file's content. Raises :class:`OutputError`."""
        return parse(cls, read_json(file, error=OutputError), str(file), error=OutputError)

    def describe(self) -> str:
        """What was seen and what follows, in one line."""
        seen = f"{self.flipped_top1_pct:.1f} % instead of {self.top1_pct:.1f}"
        if self.why_not is None:
            return f"flipped images are known as well ({seen}): training flips images"
        return f"flipped images {self.why_not} ({seen}): training does not flip them"


def why_not_flipped(right: Bools, flipped_right: Bools, labels: Any, num_classes: int) -> str | None:
    """Why images must not be flipped; None where a network that never saw flipped ones knows them too.

    Args:
        right: whether each image was classified rightly, (N,).
        flipped_right: the same of the flipped images.
        labels: (N,) their classes.
        num_classes: of all classes; guessing is right once in so many times.
    """
    labels = np.asarray(labels)
    chance = 1 / num_classes
    known = float(right.mean()) - chance
    error = float(np.sqrt(max(right.mean() * (1 - right.mean()), 1e-9) / len(right)))
    if known < 2 * error:
        return "tell nothing, as hardly any image is known"
    if right.mean() - flipped_right.mean() > LOST * known:
        return "are something else"
    for label in np.unique(labels):
        of_class = labels == label
        before, after = int(right[of_class].sum()), int(flipped_right[of_class].sum())
        if before - after >= FEWEST and after < (1 - LOST_OF_CLASS) * before:
            return "of some classes are something else"
    return None
