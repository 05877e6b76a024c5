"""The split into train, search and test images: made once, stratified, seeded, written down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import count
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from anas_zoo.core.errors import DataError
from anas_zoo.core.schema import Schema
from anas_zoo.data.copies import Groups, find_copies
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.sources import ImageSource

MAX_IMAGES = 10**8  # whose parts are worked out in memory, a byte for each image
MAX_NAMED = 100_000  # held-out images whose files are named
NAMED = 10  # classes that an error names
SEARCH, TEST = 1, 2


class SplitRecipe(Schema):
    """Which part of each class goes where; the rest is for training.

    Attributes:
        search_per_class: that many images of each class are for searching; None for ``search_fraction``.
        search_fraction: part of a class's images that is for searching.
        test_fraction: part of a class's images that is for testing; not used where the source has a test
            part of its own.
    """

    search_per_class: int | None = Field(None, ge=1)
    search_fraction: float = Field(0.15, gt=0, lt=1)
    test_fraction: float = Field(0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.search_per_class is None and self.search_fraction + self.test_fraction >= 1:
            raise ValueError("search_fraction + test_fraction must be under 1")
        return self

    def search_count(self, members: int) -> int:
        """How many of a class's ``members`` images are for searching."""
        if self.search_per_class is not None:
            return self.search_per_class
        return max(1, round(members * self.search_fraction))

    def test_count(self, members: int) -> int:
        """How many of a class's ``members`` images are for testing, without a test part in the source."""
        return max(1, round(members * self.test_fraction))


class Unreadable(Schema):
    """An image that is in no part, as it could not be read when the split was made.

    ``file`` is its name within a folder of images, ``reason`` what was wrong with it.
    """

    index: int
    file: str | None = None
    reason: str


class Split(Schema):
    """Image indices of the search and test parts, together with what they are indices of.

    Training reads ``train``, which is all the rest and not written down: it may be a million numbers. A
    search scores on ``search``; ``test`` is touched once, for the report.

    Attributes:
        images: number of all images, those included that are in no part.
        unreadable: images that are in no part as they cannot be read.
        others_sha256: what the rest of a folder is recognised by when the files of those are gone.
        copies_of_test: images that are in no part as they are copies of some in the source's own test part.
        search_files: names of the files of ``search`` within their folder, in its order, for people and
            other programs: the numbers are what counts. None where images are no files of their own.
        test_files: the same of ``test``.
    """

    source: str
    source_sha256: str
    seed: int
    images: int = Field(ge=1, le=MAX_IMAGES)
    search: tuple[int, ...]
    test: tuple[int, ...]
    unreadable: tuple[Unreadable, ...] = ()
    others_sha256: str | None = None
    copies_of_test: tuple[int, ...] = ()
    search_files: tuple[str, ...] | None = None
    test_files: tuple[str, ...] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Splits of readable images keep the hash that trainings and searches know them by."""
        data: dict[str, Any] = serialise(self)
        later = ("unreadable", "others_sha256", "copies_of_test", "search_files", "test_files")
        return {key: value for key, value in data.items() if value or key not in later}

    @model_validator(mode="after")
    def _disjoint_and_within_range(self) -> Self:
        held_out = self._not_for_training()
        if len(set(held_out)) != len(held_out):
            raise ValueError("an image is in two parts of the split, or twice in one")
        if held_out and (min(held_out) < 0 or max(held_out) >= self.images):
            raise ValueError(f"an index of the split is not from 0 to {self.images - 1}")
        for part, files in ((self.search, self.search_files), (self.test, self.test_files)):
            if files is not None and len(files) != len(part):
                raise ValueError(f"{len(files)} names of files for {len(part)} images of a part")
        return self

    @cached_property
    def train(self) -> tuple[int, ...]:
        """The images that are in no other part, ascending."""
        left = np.ones(self.images, dtype=bool)
        left[list(self._not_for_training())] = False
        return tuple(np.flatnonzero(left).tolist())

    def _not_for_training(self) -> tuple[int, ...]:
        unreadable = tuple(image.index for image in self.unreadable)
        return self.search + self.test + unreadable + self.copies_of_test


def make_split(source: ImageSource, recipe: SplitRecipe, *, seed: int, copies: Groups | None = None) -> Split:
    """Shuffle each class by ``seed`` and cut it; every class is in every part that is cut.

    Images with equal files come into one part, whatever classes they are in, and the cut is made as if there
    were only the first of them. Where the source has a test part, that is the test part, and only the rest is
    cut, without copies of test images.

    Args:
        source: the images.
        recipe: how much of each class goes where.
        seed: of the shuffle.
        copies: what :func:`anas_zoo.data.copies.find_copies` finds, if that is known already.

    Raises :class:`DataError` where there are images of fewer than two classes, naming the classes with too
    few images or none in the source's test part, or when none is left to train on.
    """
    check_classes(source, recipe)
    if copies is None:
        copies = find_copies(source) or ()
    own_test, count = source.test_indices, len(source.labels)
    tested = np.zeros(count, dtype=bool)
    if own_test is not None:
        tested[own_test] = True
    first = _first_of_copies(copies, tested)
    firsts = np.flatnonzero((first == np.arange(count)) & ~tested)
    classes = [(label, firsts[members]) for label, members in _members(source.labels[firsts])]
    if copies:
        left = {label: len(members) for label, members in classes}
        _refuse_small(source, recipe, left, " that are not copies of others")
    rng = np.random.default_rng(seed)
    part = np.zeros(count, dtype=np.int8)  # of training
    part[tested] = TEST
    for _, members in classes:
        members = rng.permutation(members)
        n_test = recipe.test_count(len(members)) if own_test is None else 0
        part[members[:n_test]] = TEST
        part[members[n_test : n_test + recipe.search_count(len(members))]] = SEARCH
    part = part[first]
    copies_of_test = (part == TEST) & ~tested if own_test is not None else np.zeros_like(tested)
    part[copies_of_test] = 0
    split = Split(
        source=source.name,
        source_sha256=source.fingerprint(),
        seed=seed,
        images=count,
        search=_numbers(part == SEARCH),
        test=_numbers(part == TEST),
        copies_of_test=_numbers(copies_of_test),
    )
    if not split.train:
        raise DataError("no images are left to train on; use smaller search and test fractions")
    return split


def with_file_names(source: ImageSource, split: Split) -> Split:
    """``split`` with the names of its search and test images, if they are files of a folder.

    The same split for more held-out images than :data:`MAX_NAMED`.
    """
    if not isinstance(source, FolderSource) or len(split.search) + len(split.test) > MAX_NAMED:
        return split
    return split.model_copy(
        update={
            "search_files": tuple(map(source.file_name, split.search)),
            "test_files": tuple(map(source.file_name, split.test)),
        }
    )


def check_classes(source: ImageSource, recipe: SplitRecipe) -> None:
    """Raise :class:`DataError` for images that :func:`make_split` cannot split, whatever their files hold."""
    _refuse_one_class(source)
    own, own_test = np.arange(len(source.labels)), source.test_indices
    if own_test is not None:
        own = np.setdiff1d(own, own_test, assume_unique=True)
    labels, counts = np.unique(source.labels[own], return_counts=True)
    _refuse_small(source, recipe, dict(zip(labels.tolist(), counts.tolist(), strict=True)))
    if own_test is not None:
        _refuse_untested(source, own_test)


def _first_of_copies(copies: Groups, tested: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each image the copy of it whose part it shares: one that is tested, else the first; or itself."""
    first = np.arange(len(tested))
    for group in copies:
        members = np.array(group)
        first[members] = next(iter(members[tested[members]]), members[0])
    first[tested] = np.flatnonzero(tested)
    return first


def _refuse_one_class(source: ImageSource) -> None:
    present = np.unique(source.labels)
    if not source.label_names:
        raise DataError(
            f"{source.name} has no class folders, so its images have no labels; give a folder with one "
            "sub-folder of images per class"
        )
    if len(present) < 2:
        raise DataError(
            f"{source.name} has one class, {source.label_names[present[0]]!r}; a classifier needs two or "
            "more: give a folder with one sub-folder of images per class"
        )


def _members(labels: npt.NDArray[np.int64]) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """(label, ascending positions) of each class that is there; one sort for all of them."""
    if not len(labels):
        return []
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    return list(zip(present.tolist(), np.split(order, starts[1:]), strict=True))


def _needed(recipe: SplitRecipe, *, test: bool) -> int:
    """The fewest images with which a class can be in every part."""
    if recipe.search_per_class is None:
        return 3 if test else 2
    left = recipe.search_per_class + 1
    if not test:
        return left
    return next(members for members in count(left) if members - recipe.test_count(members) >= left)


def _refuse_small(
    source: ImageSource, recipe: SplitRecipe, there: Mapping[int, int], which: str = ""
) -> None:
    """Raise for classes with too few images; ``there`` are those that can be cut, and ``which`` they are."""
    needed = _needed(recipe, test=source.test_indices is None)
    # A class may be in the source's test part alone.
    counts = {int(label): 0 for label in np.unique(source.labels)} | dict(there)
    small = {source.label_names[label]: n for label, n in counts.items() if n < needed}
    if small:
        parts = "train and search" if source.test_indices is not None else "train, search and test"
        named = [f"{n} image{'s' if n != 1 else ''} of class {name!r}" for name, n in small.items()][:NAMED]
        if len(small) > NAMED:
            named.append(f"{len(small) - NAMED} more classes")
        raise DataError(
            f"too few images{which} for {parts}: {', '.join(named)}; at least {needed} of each class are "
            "needed: add images, or remove the class"
        )


def _refuse_untested(source: ImageSource, test: npt.NDArray[np.int64]) -> None:
    there, tested = np.unique(source.labels), np.unique(source.labels[test])
    missing = [repr(source.label_names[label]) for label in np.setdiff1d(there, tested)]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"{source.name}: the training part has {len(there)} classes and the test part {len(tested)}, "
            f"which must be the same; not in the test part: {', '.join(missing[:NAMED])}{more}"
        )


def _numbers(chosen: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(chosen).tolist())
