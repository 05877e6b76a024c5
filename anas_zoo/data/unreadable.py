"""Images that cannot be read: how many may be left out, and a run that stays the same without them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.progress import note, track
from anas_zoo.core.text import printable
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.sources import ImageSource, file_of
from anas_zoo.data.splits import Split, Unreadable

T = TypeVar("T")
NAMED = 3  # images that a note names


def check_unreadable(reasons: Sequence[str], limit: int, what: str = "training images") -> None:
    """Raise :class:`DataError` when more images than ``limit`` could not be read, with the last reason."""
    if len(reasons) > limit:
        raise DataError(
            f"{len(reasons)} {what} could not be read, {limit} may be skipped "
            f"(train.max_unreadable_images); the last: {reasons[-1]}"
        )


def read_each(
    read: Callable[[int], T], indices: Sequence[int], what: str, *, work: str = "check {}"
) -> dict[int, T]:
    """What ``read`` makes of those of ``indices`` whose images can be read; a note says how many cannot.

    ``work`` is what the bar says, with "{}" for ``what``.
    Raises :class:`DataError` when there are some and none can be read.
    """
    found: dict[int, T] = {}
    reasons = []
    for index in track(indices, work.format(f"{len(indices)} {what}")):
        try:
            found[index] = read(index)
        except DataError as exc:
            reasons.append(str(exc))
    if reasons and not found:
        raise DataError(f"none of {len(indices)} {what} can be read; the last: {reasons[-1]}")
    note_unreadable(reasons, len(indices), what)
    return found


def readable(source: ImageSource, indices: Sequence[int], what: str) -> list[int]:
    """Those of ``indices`` whose images can be read, as :func:`read_each` has them."""
    return list(read_each(lambda index: source.image(index).close(), indices, what))


def note_unreadable(reasons: Sequence[str], images: int, what: str) -> None:
    """Say how many of ``images`` images cannot be read, and why the first of them; nothing without any."""
    if reasons:
        more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
        named = "; ".join(reasons[:NAMED]) + more
        note(f"{len(reasons)} of {images} {what} cannot be read and are left out: {named}")


def without_unreadable(source: ImageSource, split: Split, *, limit: int) -> Split:
    """``split`` without those of its search and test images that cannot be read; each of them is read.

    They belong to no part then, and the split names them, so that no stage after a training stops at one of
    them, whether its file is still there or not. A note says what was found.

    Raises :class:`DataError` for more of them than ``limit``, and when they are a whole part.
    """
    held_out, found = (*split.search, *split.test), dict[int, str]()
    for index in track(held_out, f"read {len(held_out)} held-out images"):
        try:
            source.image(index).close()
        except DataError as exc:
            found[index] = str(exc)
            check_unreadable(list(found.values()), limit, "held-out images")
    if not found:
        return split
    parts = {
        name: tuple(index for index in part if index not in found)
        for name, part in (("search", split.search), ("test", split.test))
    }
    for name, part in parts.items():
        if not part:
            raise DataError(f"no image of the {name} part can be read; the last: {list(found.values())[-1]}")
    note_unreadable(list(found.values()), len(held_out), "held-out images")
    new = [
        Unreadable(index=index, file=file_of(source, index), reason=printable(why))
        for index, why in found.items()
    ]
    unreadable = tuple(sorted((*split.unreadable, *new), key=lambda image: image.index))
    changed = {
        "unreadable": unreadable,
        "others_sha256": _others_sha256(source, unreadable),
        "search_files": None,
        "test_files": None,
    }
    return Split.model_validate(split.model_dump() | parts | changed)


def numbered_as(source: ImageSource, split: Split) -> ImageSource:
    """``source`` with the numbers that ``split`` knows, where files of its unreadable images are gone.

    Or were replaced; they stay left out. Where anything else differs, it is ``source`` itself.
    """
    if not split.unreadable or source.fingerprint() == split.source_sha256:
        return source
    if split.others_sha256 is None or _others_sha256(source, split.unreadable) != split.others_sha256:
        return source
    return _Renumbered(source, split)


class _Renumbered:
    """A source as it was numbered before images were deleted that were unreadable."""

    def __init__(self, source: ImageSource, split: Split) -> None:
        self._source, self._fingerprint = source, split.source_sha256
        there = {file_of(source, index) for index in range(len(source.labels))}
        self._gone = {image.index: image for image in split.unreadable if image.file not in there}
        self._numbers = np.full(split.images, -1, dtype=np.int64)
        kept = [index for index in range(split.images) if index not in self._gone]
        self._numbers[kept] = np.arange(len(source.labels))
        self.name, self.title, self.licence = source.name, source.title, source.licence
        self.label_names, self.preprocessing = source.label_names, source.preprocessing
        # Of the gone ones nobody asks.
        self.labels: npt.NDArray[np.int64] = np.zeros(split.images, dtype=np.int64)
        self.labels[kept] = source.labels
        self.test_indices: npt.NDArray[np.int64] | None = None
        if source.test_indices is not None:
            self.test_indices = np.array(kept, dtype=np.int64)[source.test_indices]

    def image(self, index: int) -> Image.Image:
        if index in self._gone:
            raise DataError(f"{self._gone[index].file}: no such file; it was unreadable when the run began")
        return self._source.image(int(self._numbers[index]))

    def file_name(self, index: int) -> str | None:
        if index in self._gone:
            return self._gone[index].file
        return file_of(self._source, int(self._numbers[index]))

    def fingerprint(self) -> str:
        return self._fingerprint


def _others_sha256(source: ImageSource, unreadable: Collection[Unreadable]) -> str | None:
    """Hash of the names, sizes and classes of a folder's other images; None for what is no folder."""
    if not isinstance(source, FolderSource):
        return None
    left_out = {image.file for image in unreadable}
    rows = [
        [file, source.file(index).stat().st_size, source.label_names[label]]
        for index, label in enumerate(source.labels.tolist())
        if (file := file_of(source, index)) not in left_out
    ]
    return sha256_bytes(canonical_json(rows).encode())
