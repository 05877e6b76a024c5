"""A folder with one sub-folder of images per class, through timm's reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.data.preprocessing import IMAGENET
from anas_zoo.errors import DataError
from anas_zoo.files import canonical_json, sha256_bytes
from anas_zoo.images import read_rgb

__all__ = ["FolderSource"]


class FolderSource:
    """Images under ``root``; the sub-folder's name is the class. Without sub-folders: one class."""

    licence = "unknown"
    preprocessing = IMAGENET

    def __init__(self, root: Path) -> None:
        from timm.data import create_dataset

        self.name = str(root)
        self.title = f"images of the folder {root.name!r}"
        try:
            dataset = create_dataset("", root=str(root))
        except RuntimeError as exc:  # timm: "Found 0 images in subfolders of: ..."
            raise DataError(f"no images found under {root}; expected {root}/CLASS/IMAGE.jpg") from exc
        self._reader = dataset.reader
        by_index = sorted(self._reader.class_to_idx.items(), key=lambda item: item[1])
        self.label_names = tuple(name for name, _ in by_index)
        self.labels: npt.NDArray[np.int64] = np.array(
            [label for _, label in self._reader.samples], dtype=np.int64
        )

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the file that cannot be read."""
        return read_rgb(self._reader.filename(index, absolute=True))

    def fingerprint(self) -> str:
        """Hash of the files' relative names, sizes and labels (contents are not read)."""
        rows = [
            [
                self._reader.filename(index),
                Path(self._reader.filename(index, absolute=True)).stat().st_size,
                int(label),
            ]
            for index, label in enumerate(self.labels)
        ]
        return sha256_bytes(canonical_json(rows).encode())
