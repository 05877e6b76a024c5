"""Images for entries of a checkpoint: which calibrate batch norm, and which measure accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anas_zoo.data import ImageSource, balanced_choice
from anas_zoo.data.chosen_images import CALIBRATION, SCORING

HELD_OUT = "held out of calibration"
HELD_OUT_SHARE = 5  # without a test part, every fifth image


@dataclass(frozen=True)
class ImageRoles:
    """Numbers of the images of a source, by what they are for; no image is in both.

    Attributes:
        calibration: to measure batch norm on.
        evaluation: to measure accuracy on; empty where no labels fit.
        split: what the evaluation images are.
    """

    calibration: list[int]
    evaluation: list[int]
    split: str


def image_roles(
    source: ImageSource, *, labelled: bool, max_calibration: int, max_evaluation: int
) -> ImageRoles:
    """Evaluate on the source's own test part, else on every fifth image of each class.

    Where fewer are wanted, they are balanced over the classes, the same ones every time.

    Args:
        source: where the images come from.
        labelled: whether its classes are the network's.
        max_calibration: images to calibrate on at most.
        max_evaluation: images to evaluate at most; 0 for none, and all are there for calibration.
    """
    every = np.arange(len(source.labels))
    test = source.test_indices
    rest = every if test is None else np.setdiff1d(every, test)
    split = "test"
    evaluated = test if test is not None else every[:0]
    if test is None and labelled and max_evaluation:
        by_class = rest[np.argsort(source.labels[rest], kind="stable")]
        evaluated, split = np.sort(by_class[HELD_OUT_SHARE - 1 :: HELD_OUT_SHARE]), HELD_OUT
        rest = np.setdiff1d(rest, evaluated)
    chosen = evaluated if labelled else every[:0]
    return ImageRoles(
        balanced_choice(rest, source.labels, max_calibration, [0, CALIBRATION]),
        sorted(balanced_choice(chosen, source.labels, max_evaluation, [0, SCORING])),
        split,
    )
