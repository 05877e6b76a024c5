"""Images whose files are the same, byte for byte, and what images are called."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TypeAlias

import numpy as np

from anas_zoo.core.errors import DataError
from anas_zoo.core.progress import track
from anas_zoo.data.folder import FolderSource
from anas_zoo.data.sources import ImageSource, StoredSource

MAX_COMPARED = 100_000  # images of larger collections are not compared

Groups: TypeAlias = tuple[tuple[int, ...], ...]


def find_copies(source: ImageSource) -> Groups | None:
    """The images whose files are equal, in groups of two or more, each ascending, in order of their first.

    Only files of one size are read. It depends on the images alone, so that a split may follow from it. None
    where nothing is compared: images that are in no files, or more than :data:`MAX_COMPARED`.
    """
    if not isinstance(source, StoredSource) or len(source.labels) > MAX_COMPARED:
        return None
    sizes = source.stored_bytes()
    _, kind, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero((counts[kind] > 1) & (sizes != 0))  # empty files are no images
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for index in track(alike.tolist(), f"compare {len(alike)} files of equal size"):
        try:
            with source.stored_file(index) as file:
                by_content[hashlib.sha256(file.read()).digest()].append(index)
        except (DataError, OSError):  # one that cannot be read is nobody's copy
            continue
    return tuple(tuple(group) for group in by_content.values() if len(group) > 1)


def name_of(source: ImageSource, index: int) -> str:
    """What people find image ``index`` by: its file within a folder, else its number."""
    return source.file_name(index) if isinstance(source, FolderSource) else f"image {index}"
