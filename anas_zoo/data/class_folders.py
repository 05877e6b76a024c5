"""The image files in a folder of class folders, in an order that depends on their names alone."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import FORMATS

NAMED = 3  # examples in a line about many
# What file managers and operating systems leave behind, in lower case; names with a dot in front as well.
SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "lost+found"),
    *("$recycle.bin", "system volume information"),
}

HIDDEN = "hidden or system files"
LINKS = "links to folders within classes"
STRANGE = "files that cannot be opened"
OTHER = "files of other formats"
LOOSE = "images outside of class folders"
EMPTY = "class folders without images"


# What is not read: reason -> one text for each, "" where there is nothing to say about it.
LeftOut: TypeAlias = dict[str, list[str]]


def describe(left_out: Iterable[LeftOut]) -> str:
    """In words, such as ``"files of other formats (12: .heic, .txt)"``; "" where nothing is left out."""
    together: dict[str, list[str]] = defaultdict(list)
    for one in left_out:
        for reason, texts in one.items():
            together[reason] += texts
    parts = []
    for reason, texts in sorted(together.items()):
        named = sorted(set(filter(None, texts)))
        shown = ", ".join(named[:NAMED]) + (", …" if len(named) > NAMED else "")
        parts.append(f"{reason} ({len(texts)}: {shown})" if shown else f"{reason} ({len(texts)})")
    return ", ".join(parts)


@dataclass(frozen=True)
class Listing:
    """The image files under a folder; names are relative to it, with "/" between, in natural order.

    Attributes:
        files: those in class folders, however deep.
        classes: the class folders that have images.
        loose: those that lie directly in the folder.
        left_out: what else is there, the loose ones included.
    """

    files: list[str]
    classes: list[str]
    loose: list[str]
    left_out: LeftOut


def list_images(folder: Path) -> Listing:
    """Find the images under ``folder``, of all formats that can be read; a class is a folder directly in it.

    Hidden and system files are left out, and so are links to folders within a class, which could lead in
    circles; ``folder`` and its class folders themselves may be links. Raises :class:`DataError` for a folder
    that cannot be read, and for two class folders whose names are the same text in two encodings.
    """
    left_out: LeftOut = defaultdict(list)
    images: list[str] = []
    folders: list[str] = []
    waiting = [""]
    while waiting:
        within = waiting.pop()
        for entry in _entries(folder / within):
            name = entry.name
            if is_hidden(name):
                left_out[HIDDEN].append("")
            elif _is(entry.is_dir):
                if within and entry.is_symlink():
                    left_out[LINKS].append(f"{within}{name}")
                    continue
                waiting.append(f"{within}{name}/")
                if not within:
                    folders.append(name)
            elif not _is(entry.is_file):
                left_out[STRANGE].append(f"{within}{name}")
            elif is_image(name):
                images.append(f"{within}{name}")
            else:
                left_out[OTHER].append(_suffix(name) or "no suffix")
    images.sort(key=_natural)
    files = [file for file in images if "/" in file]
    classes = {file.partition("/")[0] for file in files}
    for name in folders:
        if name not in classes:
            left_out[EMPTY].append(name)
    _refuse_equal(folder, classes)
    loose = [file for file in images if "/" not in file]
    if loose:
        left_out[LOOSE] += [""] * len(loose)
    return Listing(files, sorted(classes, key=_natural), loose, left_out)


def normalised(name: str) -> str:
    """A class's name in the encoding by which names are compared; a Mac writes é as two characters."""
    return unicodedata.normalize("NFC", name)


def is_hidden(name: str) -> bool:
    """Whether people do not see a file of that name, or did not put it there."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_image(name: str) -> bool:
    """Whether a file of that name is an image of a format that can be read, hidden ones aside."""
    return _suffix(name) in _suffixes() and not is_hidden(name)


@cache
def _suffixes() -> frozenset[str]:
    known = Image.registered_extensions()
    # A .pfm has floating-point pixels, which no image may have here.
    return frozenset(suffix for suffix, kind in known.items() if kind in FORMATS and suffix != ".pfm")


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f"{dot}{suffix}".lower() if stem else ""


def _natural(name: str) -> tuple[list[str | int], str]:
    """Numbers by value and letters without their case; the name itself decides between equals."""
    words = re.split(r"(\d+)", name.lower())
    return [int(word) if i % 2 else word for i, word in enumerate(words)], name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as exc:
        raise DataError(f"{folder}: cannot be read ({exc.strerror})") from exc


def _is(of_that_kind: Callable[[], bool]) -> bool:
    try:
        return of_that_kind()
    except OSError:  # a link to itself
        return False


def _refuse_equal(folder: Path, classes: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in sorted(classes):
        same = seen.setdefault(normalised(name), name)
        if same != name:
            raise DataError(
                f"{folder}: two class folders are called {name!r}, in different encodings of the same text "
                f"({len(same)} and {len(name)} characters); put them together"
            )
