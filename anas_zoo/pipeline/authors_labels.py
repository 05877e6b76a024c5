"""Labelled images for the authors' checkpoints: which class a folder is, and which images nothing decides on.

Their files name no classes. ImageNet's are known by WordNet id and by description; other networks have the
classes of the folders in the order in which torchvision's ImageFolder numbers them (10 before 2, B before a).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from anas_zoo.data import FolderSource, ImageSource, balanced_choice
from anas_zoo.data.chosen_images import CALIBRATION, SCORING

HELD_OUT = "held out of calibration"
HELD_OUT_SHARE = 5  # without a test part, every fifth image
IMAGENET_CLASSES = 1000
_WORDNET = re.compile(r"n\d{8}")


def wordnet_ids() -> tuple[str, ...]:
    """ImageNet's classes in the order in which networks number them."""
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())


def class_names(source: ImageSource, num_classes: int) -> tuple[str, ...] | None:
    """The network's classes, in its order, among which all of ``source``'s are; None where none are known."""
    found = source.label_names
    if num_classes == IMAGENET_CLASSES:
        from timm.data import ImageNetInfo

        imagenet, ids = ImageNetInfo(), wordnet_ids()
        if len(found) and set(found) <= set(ids):
            return ids
        words = tuple(str(imagenet.index_to_description(index)) for index in range(IMAGENET_CLASSES))
        if len(found) > 1 and set(found) <= {word for word in words if words.count(word) == 1}:
            return words
        if all(map(_WORDNET.fullmatch, found)):
            return None  # WordNet's, but not the 1000 of the challenge
    if len(found) != num_classes or len(found) < 2:
        return None
    # Other sources have an order of their own, which is not that of the names.
    return tuple(sorted(found)) if isinstance(source, FolderSource) else found


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
