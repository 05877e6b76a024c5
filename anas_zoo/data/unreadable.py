"""Images that cannot be read: how many may be left out, and a split without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from anas_zoo.core.errors import DataError
from anas_zoo.core.progress import note, track
from anas_zoo.core.text import printable
from anas_zoo.data.sources import ImageSource
from anas_zoo.data.splits import Split, Unreadable

__all__ = ["check_unreadable", "note_unreadable", "read_each", "readable", "without_unreadable"]

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
    them. A note says what was found.

    Raises :class:`DataError` for more of them than ``limit``, and when they are a whole part.
    """
    held_out, found, transparent = (*split.search, *split.test), dict[int, str](), 0
    for index in track(held_out, f"read {len(held_out)} held-out images"):
        try:
            transparent += source.image(index).mode == "RGBA"
        except DataError as exc:
            found[index] = str(exc)
            check_unreadable(list(found.values()), limit, "held-out images")
    if transparent:
        how = "laid on white" if source.preprocessing.transparency == "white" else "read without transparency"
        note(f"{transparent} of {len(held_out)} held-out images have transparent parts; images are {how}")
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
    unreadable = tuple(Unreadable(index=i, reason=printable(why)) for i, why in sorted(found.items()))
    return Split.model_validate(split.model_dump() | parts | {"unreadable": unreadable})
