"""The three parts of a collection by name: in folders, Hugging Face datasets and tar shards alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from anas_zoo.core.errors import DataError
from anas_zoo.core.progress import note

TRAIN = "train"
HELD_OUT = ("val", "test")  # by rank: of the usual train, val and test, the last has no public labels
# Those that the library datasets knows, so that a folder and the dataset made of it have the same parts.
SPELLINGS = {
    TRAIN: ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_PARTS = {spelling: part for part, spellings in SPELLINGS.items() for spelling in spellings}


def part_called(name: str) -> str | None:
    """The part that ``name`` is a spelling of, in any case: "train", "val", "test" or None."""
    return _PARTS.get(name.lower())


def part_in(name: str) -> str | None:
    """The part that a word of ``name`` is a spelling of, as in ``imagenet1k-validation-00``; the last one."""
    words = [word for word in re.findall(r"[a-z]+", name.lower()) if word in _PARTS]
    return _PARTS[words[-1]] if words else None


def by_part(names: Iterable[str], where: str) -> dict[str, str]:
    """Which of ``names`` each part has; names of no part are passed over.

    Raises :class:`DataError` where ``where`` has a part twice, in two spellings.
    """
    found: dict[str, str] = {}
    for name in names:
        part = part_called(name)
        if part in found:
            raise DataError(
                f"{where}: {found[part]!r} and {name!r} are two spellings of the same part; "
                "put them together, or rename the one that is not meant"
            )
        if part is not None:
            found[part] = name
    return found


def note_parts(where: str, read: Iterable[str], left_out: Iterable[str]) -> None:
    """Say which parts of ``where`` are read, the held-out one last, where something is ``left_out``."""
    if rest := ", ".join(left_out):
        train, *held_out = read
        test = f"; the test part is {held_out[0]}" if held_out else ""
        note(f"{where}: training images are from {train}{test}; not read: {rest}")
