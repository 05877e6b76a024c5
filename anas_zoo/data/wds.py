"""Tar shards in the WebDataset layout, as a numbered collection.

timm reads such shards as a stream, which has no numbers: no search images could be carved out of it, and
a training run could not resume exactly where it stopped. So they are indexed here
(anas_zoo/data/tar_index.py) and each image is read where it lies.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.images import read_image
from anas_zoo.core.progress import note, track
from anas_zoo.data.class_folders import is_hidden
from anas_zoo.data.part_names import HELD_OUT, TRAIN, by_part, note_parts, part_called, part_in
from anas_zoo.data.tar_index import index_tar, name_at
from anas_zoo.entry import WHOLE_IMAGE

CLASS_NAMES = ("classnames.txt", "classes.txt")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MAX_SHARDS = 100_000


class WdsSource:
    """The images of one .tar, of a folder of them, or of a pattern such as ``train-{0000..0003}.tar``.

    Shards are told apart by a word of their name (``train-0000.tar``, ``val-0000.tar``,
    ``imagenet1k-validation-00.tar``) or by the sub-folder they are in (``train/``, ``val/``), spelled as in
    anas_zoo/data/part_names.py: train first, and the other part is the test part; with both val and test, val
    is, as in :class:`FolderSource`. Without such words all shards are one part, in the order of their names.
    What is not read is said. Class names are the lines of
    ``classnames.txt`` or ``classes.txt`` beside the shards, else "0", "1" and so on.

    The index is made when the source is opened, by a pass over all headers, and kept in memory (28 bytes an
    image). No file stays open, so the source may be sent to other processes.

    Raises :class:`DataError` when there are no shards or samples, when a shard cannot be indexed, and when
    the class names are too few.
    """

    licence = "unknown"
    preprocessing = WHOLE_IMAGE

    def __init__(self, path: str) -> None:
        self.name = f"wds/{path}"
        folder, shards = _find_shards(path)
        self.title = f"images of the tar shards {Path(path).name!r}"
        train, held_out = _parts(path, shards)
        self._shards = [*train, *held_out]
        indices = [index_tar(shard) for shard in track(self._shards, f"index {len(self._shards)} tar shards")]
        counts = [len(index.labels) for index in indices]
        self._shard: npt.NDArray[np.int32] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._offsets = np.concatenate([index.offsets for index in indices])
        self._sizes = np.concatenate([index.sizes for index in indices])
        self.labels: npt.NDArray[np.int64] = np.concatenate([index.labels for index in indices])
        first_test = sum(counts[: len(train)])
        if first_test == 0 or (held_out and first_test == len(self.labels)):
            raise DataError(f"no samples in the shards of {path}; expected KEY.jpg with KEY.cls or KEY.json")
        self.test_indices: npt.NDArray[np.int64] | None = None
        if held_out:
            self.test_indices = np.arange(first_test, len(self.labels), dtype=np.int64)
        self.label_names = _class_names(folder, int(self.labels.max()) + 1)

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the shard and the file within it."""
        content = self._content(index)
        try:
            return read_image(content)
        except DataError:
            # Fails once more, under its name; a million names would be too many to hold.
            shard = self._shards[self._shard[index]]
            return read_image(content, name=f"{shard}: {name_at(shard, int(self._offsets[index]))}")

    def stored_bytes(self) -> npt.NDArray[np.int64]:
        """Size of each image in bytes, (N,) int64."""
        return np.asarray(self._sizes, dtype=np.int64)

    def stored_file(self, index: int) -> BinaryIO:
        """Image ``index`` as it is stored. Raises :class:`DataError` naming a shard that has changed."""
        return io.BytesIO(self._content(index))

    def _content(self, index: int) -> bytes:
        shard, offset, size = self._shards[self._shard[index]], int(self._offsets[index]), self._sizes[index]
        try:
            with shard.open("rb", buffering=0) as file:
                file.seek(offset)
                content: bytes = file.read(size)
        except OSError as exc:
            raise DataError(f"{shard}: cannot be read ({exc.strerror})") from exc
        if len(content) != size:
            raise DataError(f"{shard}: has changed since it was indexed; start again")
        return content

    def fingerprint(self) -> str:
        """Hash of the shards' names and sizes, and of every image's place, size and label."""
        shards = [[shard.name, shard.stat().st_size] for shard in self._shards]
        test = 0 if self.test_indices is None else len(self.test_indices)
        head = canonical_json([shards, list(self.label_names), test]).encode()
        arrays = (self._shard, self._offsets, self._sizes, self.labels)
        return sha256_bytes(head + b"".join(array.tobytes() for array in arrays))


def _find_shards(path: str) -> tuple[Path, list[Path]]:
    """The folder that a path means, and its shards in order."""
    place = Path(path)
    if place.is_dir():
        folders = [sub for sub in sorted(place.iterdir()) if sub.is_dir() and not is_hidden(sub.name)]
        inner = {sub.name: tars for sub in folders if part_called(sub.name) and (tars := _tars(sub))}
        parts = by_part(inner, str(place)).values()
        shards = [*_tars(place), *(shard for name in parts for shard in inner[name])]
        if not shards:
            raise DataError(f"no .tar files in {place}, nor in {place / TRAIN}")
        if others := [sub.name for sub in folders if sub.name not in inner and any(sub.glob("*.tar"))]:
            note(f"wds/{path}: not read: the shards in {', '.join(others)}")
        return place, shards
    shards = [Path(name) for name in _expand(path)]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing:
        count = f" ({len(missing)} of {len(shards)} shards are missing)" if len(shards) > 1 else ""
        raise DataError(
            f"{missing[0]}: no such file{count}; give wds/ and a .tar file, a folder of them, or "
            "a pattern such as train-{0000..0003}.tar"
        )
    return shards[0].parent, shards


def _tars(folder: Path) -> list[Path]:
    """The shards that lie in a folder, in order; compressed ones are refused when they are indexed."""
    files = [file for file in sorted(folder.iterdir()) if not is_hidden(file.name)]
    return [file for file in files if re.search(r"\.tar(\.gz|\.bz2|\.xz|\.zst)?$|\.tgz$", file.name)]


def _expand(pattern: str) -> list[str]:
    """All names that ``{0000..0003}`` stands for, the width kept; one name without a range."""
    match = None if Path(pattern).is_file() else RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < MAX_SHARDS:
        raise DataError(f"{pattern}: the range {match[0]} must go up, to at most {MAX_SHARDS} shards")
    names = (f"{number:0{len(match[1])}d}" for number in range(first, last + 1))
    return [
        name
        for number in names
        for name in _expand(pattern[: match.start()] + number + pattern[match.end() :])
    ]


def _parts(path: str, shards: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The shards to train on and those of the test part, by a shard's name, or else its sub-folder's."""
    parts: dict[str | None, list[Path]] = {}
    for shard in shards:
        folder = shard.parent.name if shard.parent != Path(path) else ""
        parts.setdefault(part_in(shard.stem) or part_in(folder), []).append(shard)
    if len(parts) == 1:
        return list(shards), []
    if None in parts or TRAIN not in parts:
        what = "there are shards of val and of test, and none of train; rename those to train on"
        if other := parts.get(None):
            what = f"{other[0].name} is neither of train nor of val, while other shards say so; rename it"
        raise DataError(f"{path}: {what}, or give the shards as a pattern such as train-{{0000..0003}}.tar")
    held_out, *others = (name for name in HELD_OUT if name in parts)
    note_parts(f"wds/{path}", (TRAIN, held_out), others)
    return parts[TRAIN], parts[held_out]


def _class_names(folder: Path, classes: int) -> tuple[str, ...]:
    for file in (folder / name for name in CLASS_NAMES):
        if not file.is_file():
            continue
        try:
            names = tuple(line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines())
        except (OSError, UnicodeDecodeError) as exc:
            raise DataError(f"{file}: cannot be read as UTF-8 text ({exc})") from exc
        if len(names) < classes:
            raise DataError(f"{file}: {len(names)} class names, and the labels go up to {classes - 1}")
        return names
    return tuple(str(label) for label in range(classes))
