"""A folder with one sub-folder of images per class, through timm's reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.data.preprocessing import IMAGENET
from anas_zoo.errors import DataError
from anas_zoo.files import canonical_json, sha256_bytes
from anas_zoo.images import read_rgb

__all__ = ["FolderSource"]

TRAIN = "train"
HELD_OUT = ("val", "validation", "test")  # by rank
NAMED = 3  # classes that an error names


class FolderSource:
    """Images under ``root``; the sub-folder's name is the class. Without sub-folders: one class.

    ImageNet's layout is understood: where ``root`` has a folder ``train`` of class folders beside a folder
    ``val``, ``validation`` or ``test``, the images of train come first and those of the other are the test
    part. Of several, the first of that order which has class folders is the test part, and the rest is not
    read: of the usual train, val and test, the last one has no public labels.

    Raises :class:`DataError` when there are no images, when the held-out part has no class folders, and when
    the classes of the two parts differ.
    """

    licence = "unknown"
    preprocessing = IMAGENET

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.title = f"images of the folder {root.name!r}"
        self._root = root
        held_out = _held_out_part(root)
        self._readers = [_reader(part) for part in ([root / TRAIN, held_out] if held_out else [root])]
        first = self._readers[0]
        if held_out:
            _compare_classes(root, held_out.name, first.class_to_idx, self._readers[1].class_to_idx)
        by_index = sorted(first.class_to_idx.items(), key=lambda item: item[1])
        self.label_names = tuple(name for name, _ in by_index)
        self.labels: npt.NDArray[np.int64] = np.array(
            [label for reader in self._readers for _, label in reader.samples], dtype=np.int64
        )
        self.test_indices: npt.NDArray[np.int64] | None = None
        if held_out:
            self.test_indices = np.arange(len(first), len(self.labels), dtype=np.int64)

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the file that cannot be read."""
        return read_rgb(self.file(index))

    def file(self, index: int) -> Path:
        """Where image ``index`` lies."""
        count = len(self._readers[0])
        reader, row = (self._readers[0], index) if index < count else (self._readers[1], index - count)
        return Path(reader.filename(row, absolute=True))

    def fingerprint(self) -> str:
        """Hash of the files' relative names, sizes and labels (contents are not read)."""
        rows = []
        for index, label in enumerate(self.labels):
            file = self.file(index)
            rows.append([str(file.relative_to(self._root)), file.stat().st_size, int(label)])
        return sha256_bytes(canonical_json(rows).encode())


def _reader(folder: Path) -> Any:
    from timm.data import create_dataset

    try:
        # Without search_split=False timm takes a class called "val" for the whole collection.
        return create_dataset("", root=str(folder), search_split=False).reader
    except RuntimeError as exc:  # timm: "Found 0 images in subfolders of: ..."
        raise DataError(f"no images found under {folder}; expected {folder}/CLASS/IMAGE.jpg") from exc


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_dir() for path in folder.iterdir())


def _held_out_part(root: Path) -> Path | None:
    """The folder of the test part; None where ``root`` is not laid out in parts."""
    if not _has_folders(root / TRAIN):
        return None
    parts = [root / name for name in HELD_OUT if (root / name).is_dir()]
    if not parts:
        return None
    for part in parts:
        if _has_folders(part):
            return part
    raise DataError(
        f"{parts[0]} has no class folders; sort its images into {parts[0]}/CLASS/, or give {root / TRAIN} "
        "to use the training part alone"
    )


def _compare_classes(root: Path, held_out: str, train: dict[str, int], test: dict[str, int]) -> None:
    if train == test:
        return
    where = [(TRAIN, sorted(train.keys() - test.keys())), (held_out, sorted(test.keys() - train.keys()))]
    differing = [
        f"only in {part}: {', '.join(map(repr, names[:NAMED]))}"
        + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        for part, names in where
        if names
    ]
    raise DataError(
        f"{root}: {TRAIN} has {len(train)} classes and {held_out} has {len(test)}, which must be the same; "
        + "; ".join(differing)
    )
