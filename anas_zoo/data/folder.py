"""A folder with one sub-folder of images per class, or with such folders for training and testing."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.images import read_image
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.progress import note
from anas_zoo.core.text import printable
from anas_zoo.data.class_folders import LOOSE, Listing, describe, is_hidden, is_image, list_images, normalised
from anas_zoo.data.part_names import HELD_OUT, TRAIN, by_part, note_parts, part_called, part_in
from anas_zoo.entry import WHOLE_IMAGE

NAMED = 3  # classes that an error names


class FolderSource:
    """Images under ``root``; the class is the first folder below it, however deep an image lies.

    Where a folder called train holds class folders, the class is the first folder below that. Its images come
    first, those of the folder called val, or else test, are the test part, and nothing else is read (see
    anas_zoo/data/part_names.py for the spellings). A folder of any one part may also be alone. Images without
    class folders have no labels: there are no classes, and all ``labels`` are -1.

    What is left out is counted and said in one line. Raises :class:`DataError` when there are no images, when
    it is not clear what is a part and what is a class, when the held-out part has no class folders, and when
    the classes of the two parts differ.
    """

    licence = "unknown"
    preprocessing = WHOLE_IMAGE

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.title = f"images of the folder {root.name!r}"
        self._root = root
        listings = _in_parts(root) or {"": _unparted(root)}
        first, *held_out = listings.values()
        if held_out:
            _compare_classes(root, *((part, listing.classes) for part, listing in listings.items()))
        self.label_names = tuple(first.classes)
        self._files = [
            f"{part}/{file}" if part else file for part, listing in listings.items() for file in listing.files
        ]
        number = {normalised(name): label for label, name in enumerate(first.classes)}
        folders = (file.partition("/")[0] for listing in listings.values() for file in listing.files)
        self.labels: npt.NDArray[np.int64] = np.array(
            [number.get(normalised(folder), -1) for folder in folders], dtype=np.int64
        )
        self.test_indices: npt.NDArray[np.int64] | None = None
        if held_out:
            self.test_indices = np.arange(len(first.files), len(self.labels), dtype=np.int64)
        if left_out := describe(listing.left_out for listing in listings.values()):
            note(f"{root}: left out: {left_out}")

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the file that cannot be read."""
        return read_image(self.file(index))

    def file(self, index: int) -> Path:
        """Where image ``index`` lies."""
        return self._root / self._files[index]

    def file_name(self, index: int) -> str:
        """The name of the file of image ``index`` within the folder, with "/" between, as it can be shown."""
        return printable(self._files[index])

    def stored_bytes(self) -> npt.NDArray[np.int64]:
        """Size of each image's file in bytes, (N,) int64."""
        return np.array([(self._root / file).stat().st_size for file in self._files], dtype=np.int64)

    def stored_file(self, index: int) -> BinaryIO:
        """The file of image ``index``, opened. Raises :class:`DataError` if it cannot be."""
        path = self.file(index)
        refuse_irregular(path, DataError)  # a pipe may have taken its place
        try:
            return path.open("rb")
        except OSError as exc:
            raise DataError(f"{path}: cannot be opened ({exc.strerror})") from exc

    def fingerprint(self) -> str:
        """Hash of the files' relative names, sizes and labels (contents are not read)."""
        sizes, labels = self.stored_bytes().tolist(), self.labels.tolist()
        rows = [list(row) for row in zip(self._files, sizes, labels, strict=True)]
        return sha256_bytes(canonical_json(rows).encode())


def _unparted(root: Path) -> Listing:
    """All images under ``root``, with its folders as classes."""
    listing = list_images(root)
    if not listing.files and not listing.loose:
        raise _no_images(root, listing)
    if not listing.files:
        return Listing(listing.loose, [], [], {k: v for k, v in listing.left_out.items() if k != LOOSE})
    _refuse_parts_as_classes(root, listing)
    within = {file.split("/")[1] for file in listing.files if file.count("/") > 1}
    if len(listing.classes) == 1 and len(within) > 1:
        only = listing.classes[0]
        note(f"{root}: one class, {only!r}; if the folders in it are the classes, give {root / only}")
    return listing


def _in_parts(root: Path) -> dict[str, Listing]:
    """The images of the parts by the name of their folder, train first; empty where there are no parts."""
    folders = _folders(root)
    called = [name for name in folders if part_called(name)]
    listings = {name: list_images(root / name) for name in called if _folders(root / name)}
    # One with images of its own alone is a class, or has no labels.
    listings = {name: listing for name, listing in listings.items() if listing.files or not listing.loose}
    if not listings:
        return {}
    parts = by_part(listings, str(root))
    held_out = [parts[part] for part in HELD_OUT if part in parts]
    for name in called:
        if name not in listings and (part_called(name) == TRAIN or not held_out):
            instead = next(iter(listings))
            raise DataError(
                f"{root / name} has no class folders; sort its images into {root / name}/CLASS/, or give "
                f"{root / instead} to use that part alone"
            )
    if TRAIN in parts and held_out:
        held_out = [name for name in held_out if listings[name].files] or held_out
        chosen = [parts[TRAIN], held_out[0]]
    else:
        chosen = [next(iter(listings))]
        others = {name: list_images(root / name) for name in folders if name not in chosen}
        if beside := [name for name, found in others.items() if found.files or found.loose]:
            raise DataError(
                f"{root}: {chosen[0]!r} has class folders, as a part of a collection has, and beside it "
                f"{', '.join(map(repr, beside[:NAMED]))} has images; call the parts train and val, give "
                f"{root / chosen[0]} to use it alone, or rename it where it is a class"
            )
    for name in chosen:
        if not listings[name].files:
            raise _no_images(root / name, listings[name])
    if loose := sum(is_image(path.name) and path.is_file() for path in root.iterdir()):
        listings[chosen[0]].left_out.setdefault(LOOSE, []).extend([""] * loose)
    note_parts(str(root), chosen, [name for name in folders if name not in chosen])
    return {name: listings[name] for name in chosen}


def _no_images(folder: Path, listing: Listing) -> DataError:
    text = describe([listing.left_out])
    there = f"; left out: {text}" if text else ""
    return DataError(f"no images found under {folder}; expected {folder}/CLASS/IMAGE.jpg{there}")


def _folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, in order, without hidden ones."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))
    except OSError as exc:
        raise DataError(f"{folder}: cannot be read ({exc.strerror})") from exc


def _refuse_parts_as_classes(root: Path, listing: Listing) -> None:
    """Held-out images become no class and are not trained on where a part's name is not quite known."""
    deep = {tuple(file.split("/")[:2]) for file in listing.files if file.count("/") > 1}
    nested = {name for name, _ in deep}
    train = [name for name in listing.classes if part_in(name) == TRAIN]
    held_out = [name for name in listing.classes if part_in(name) in HELD_OUT]
    if (train and held_out) and (
        len(train + held_out) == len(listing.classes) or nested.issuperset((train[0], held_out[0]))
    ):
        raise DataError(
            f"{root}: {train[0]!r} and {held_out[0]!r} look like the parts of a collection; call them train "
            "and val, each with one sub-folder per class, give one of them alone, or rename them if they are "
            "classes"
        )
    for name in sorted(nested):
        inner = {part_called(second): second for first, second in sorted(deep) if first == name}
        if TRAIN in inner and (test := inner.get("val", inner.get("test"))):
            raise DataError(
                f"{root / name} holds {inner[TRAIN]!r} and {test!r}; the parts come first, then the classes: "
                f"{root / inner[TRAIN] / name}, {root / test / name}"
            )


def _compare_classes(root: Path, train: tuple[str, list[str]], held_out: tuple[str, list[str]]) -> None:
    """``train`` and ``held_out`` are each the name of a part and its classes."""
    known = [{normalised(name) for name in classes} for _, classes in (train, held_out)]
    if known[0] == known[1]:
        return
    where = [(train[0], sorted(known[0] - known[1])), (held_out[0], sorted(known[1] - known[0]))]
    differing = [
        f"only in {part}: {', '.join(map(repr, names[:NAMED]))}"
        + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        for part, names in where
        if names
    ]
    raise DataError(
        f"{root}: {train[0]} has {len(known[0])} classes and {held_out[0]} has {len(known[1])}, which must "
        "be the same; " + "; ".join(differing)
    )
