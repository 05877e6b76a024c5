"""Which images of a source an entry is measured on, and which of its classes theirs are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import DataError, nearest
from anas_zoo.core.hints import Option
from anas_zoo.data import ImageSource, balanced_choice
from anas_zoo.data.chosen_images import SCORING
from anas_zoo.entry import Entry
from anas_zoo.pipeline.matched_classes import classes_by_name
from anas_zoo.pipeline.run_folder import RunFolder

Indices = npt.NDArray[np.int64]

NAMED = 3  # classes that an error names
WHOLE = "all"  # every image of a source


def classes_in(source: ImageSource, entry: Entry) -> Indices:
    """The network's class of each class of ``source``, by name, (classes of the source,) int64.

    ImageNet's classes are known by each of their names. An entry without names takes exactly as many classes
    as it has, in its order. Raises :class:`DataError` for images that do not fit, and for names that are
    unknown or ambiguous.
    """
    names, config = source.label_names, entry.config
    if not names:
        raise DataError(
            f"{source.name} has no class folders, so its images have no labels; sort them into one "
            "sub-folder per class"
        )
    known = config.label_names
    if known is None:
        if len(names) != config.num_classes:
            raise DataError(
                f"{entry.name} has {config.num_classes} classes without names and {source.name} has "
                f"{len(names)}; give images of exactly its classes, in its order"
            )
        return np.arange(len(names))
    if names == known:
        return np.arange(len(names))
    if (classes := classes_by_name(names, known)) is not None:
        return np.array(classes, dtype=np.int64)
    strange = [name for name in names if name not in known]
    if strange:
        listed = ", ".join(f"{name!r}{nearest(name, known)}" for name in strange[:NAMED])
        more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        raise DataError(
            f"{source.name} has classes that {entry.name} does not know: {listed}{more}; name its folders as "
            f"the labels of the entry, such as {', '.join(map(repr, known[:NAMED]))}"
        )
    double = next(name for name in names if known.count(name) > 1)
    raise DataError(
        f"{entry.name} has several classes called {double!r}, so that the images of {source.name} cannot be "
        "told apart by name"
    )


def choose_images(
    source: ImageSource, run: RunFolder[Any] | None, split: str | None, limit: int | None
) -> tuple[str, list[int]]:
    """The name of a part of ``source`` and numbers of its images, at most ``limit``.

    Args:
        source: where the images come from.
        run: whose split is meant, if the images are those of it.
        split: test, train, search (of a run) or all; default is test, or all where there is no such part.
        limit: None for all of the part; fewer are balanced over the classes, the same ones every time.

    Raises :class:`DataError` for a part that is not there or empty.
    """
    parts = _parts(source, run)
    split = split or next(iter(parts))
    if split not in parts:
        raise DataError(
            f"{source.name} has no part {split!r}; give {' or '.join(parts)} as ", Option("split")
        )
    if not len(parts[split]):
        raise DataError(f"the part {split!r} of {source.name} has no images; give another ", Option("split"))
    if limit is None or limit >= len(parts[split]):
        return split, list(parts[split])
    return split, balanced_choice(parts[split], source.labels, limit, [0, SCORING])


def _parts(source: ImageSource, run: RunFolder[Any] | None) -> dict[str, Sequence[int]]:
    """The parts of ``source`` by name; the first is measured unless another is asked for."""
    every = np.arange(len(source.labels))
    parts: dict[str, Sequence[int]] = {}
    if run is not None and run.has_images(source):
        split = run.recorded_split
        every = np.setdiff1d(every, [image.index for image in split.unreadable])
        parts = {"test": split.test, "search": split.search, "train": split.train}
    elif source.test_indices is not None:
        train = np.setdiff1d(every, source.test_indices)
        parts = {"test": source.test_indices.tolist(), "train": train.tolist()}
    return parts | {WHOLE: every.tolist()}
