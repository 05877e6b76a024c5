"""Hugging Face datasets, from the Hub or from a folder, through timm's ``hfds/`` reader."""

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

__all__ = ["HfDatasetSource"]

TRAIN = "train"
HELD_OUT = ("validation", "test")  # by rank
# Names that are preferred where the types of the columns leave a choice.
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")


class HfDatasetSource:
    """The dataset ``dataset``: its train part, and its validation part (else its test part) as test part.

    A test part whose labels were not published (all of them negative) counts as none. The image column is
    the one of the feature type Image, the label column the one of the type ClassLabel, or else one of whole
    numbers that is called label. Where several fit, the usual name decides: image or img; label, labels or
    fine_label.

    Raises :class:`DataError` when the package ``datasets`` is missing, when the dataset cannot be loaded or
    has no train part, when its columns are not of that kind, and when an image of it has no label.
    """

    preprocessing = IMAGENET

    def __init__(self, dataset: str) -> None:
        self.name = f"hfds/{dataset}"
        local = Path(dataset)
        self.title = f"Hugging Face dataset {local.name if local.exists() else dataset!r}"
        info = _load(dataset)
        parts = list(info)
        if TRAIN not in parts:
            raise DataError(f"{self.name}: no part called {TRAIN!r}; it has: {', '.join(parts)}")
        self.licence = info[TRAIN].info.license or "unknown"
        self._image_column, label_column = _columns(self.name, info[TRAIN].features)
        names = [TRAIN, *[part for part in HELD_OUT if part in parts][:1]]
        labels = [_labels(info[part], label_column, f"{self.name}, part {part!r}") for part in names]
        if len(names) == 2 and len(labels[1]) and (labels[1] < 0).all():
            del names[1], labels[1]
        self.label_names = _label_names(info[TRAIN].features[label_column], labels)
        for part, values in zip(names, labels, strict=True):
            wrong = np.flatnonzero((values < 0) | (values >= len(self.label_names)))
            if len(wrong) or not len(values):
                what = f"image {wrong[0]} has the label {values[wrong[0]]}" if len(wrong) else "no images"
                raise DataError(
                    f"{self.name}, part {part!r}: {what}; expected labels 0 to {len(self.label_names) - 1}"
                )
        self._parts = names
        self._readers = [_reader(dataset, part, self._image_column, label_column) for part in names]
        self.labels: npt.NDArray[np.int64] = np.concatenate(labels)
        self.test_indices: npt.NDArray[np.int64] | None = None
        if len(names) == 2:
            self.test_indices = np.arange(len(labels[0]), len(self.labels), dtype=np.int64)

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the dataset and the index."""
        count = len(self._readers[0])
        part, row = (0, index) if index < count else (1, index - count)
        what = f"{self.name}: image {index} ({self._parts[part]}, row {row})"
        try:
            file, _ = self._readers[part][row]
        except (OSError, AssertionError, TypeError) as exc:  # timm's reader asserts that there is something
            reason = getattr(exc, "strerror", None) or "the row holds no image"
            raise DataError(f"{what}: cannot be opened ({reason})") from exc
        with file:
            return read_rgb(file, name=what)

    def fingerprint(self) -> str:
        """Hash of the parts, the class names, the labels, and the sizes of the images that are stored inside.

        The hash that ``datasets`` itself gives depends on where its cache lies.
        """
        sizes = [_image_bytes(reader.dataset, self._image_column) for reader in self._readers]
        head = canonical_json([self._parts, [len(part) for part in sizes], list(self.label_names)])
        return sha256_bytes(head.encode() + np.concatenate(sizes).tobytes() + self.labels.tobytes())


def _load(dataset: str) -> Any:
    """All parts of a dataset by name, images not decoded."""
    try:
        import datasets
    except ImportError as exc:
        raise DataError(
            f"hfds/{dataset} needs the package 'datasets'; type: pip install 'anas-zoo[hf-datasets]'"
        ) from exc
    try:
        return datasets.load_dataset(dataset)
    except Exception as exc:  # it goes through several libraries, each with errors of its own
        told = exc.__cause__ if isinstance(exc, datasets.exceptions.DatasetGenerationError) else None
        reason = " ".join(str(told or exc).split())[:300]
        raise DataError(
            f"hfds/{dataset}: cannot be loaded ({reason}); give hfds/ and the name of a dataset on the Hub "
            "or a folder of its files"
        ) from exc


def _reader(dataset: str, part: str, image_column: str, label_column: str) -> Any:
    from timm.data import create_dataset

    # The parts are in the cache by now.
    return create_dataset(
        f"hfds/{dataset}", split=part, input_key=image_column, target_key=label_column
    ).reader


def _columns(name: str, features: Any) -> tuple[str, str]:
    """The columns of the images and of the labels."""
    import datasets

    images = [column for column, kind in features.items() if isinstance(kind, datasets.Image)]
    labels = [column for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if not labels:
        labels = [c for c in LABEL_COLUMNS if c in features and "int" in getattr(features[c], "dtype", "")]
    known = ", ".join(features)
    image = _only(name, images, IMAGE_COLUMNS, "image column (feature type Image)", known)
    return image, _only(name, labels, LABEL_COLUMNS, "label column (feature type ClassLabel)", known)


def _only(name: str, found: list[str], usual: tuple[str, ...], what: str, known: str) -> str:
    if len(found) == 1:
        return found[0]
    preferred = [column for column in usual if column in found]
    if len(preferred) == 1:
        return preferred[0]
    if not found:
        raise DataError(f"{name}: no {what}; its columns are: {known}")
    raise DataError(
        f"{name}: {len(found)} columns could be the {what}: {', '.join(found)}; remove all but one, or call "
        f"one {usual[0]!r} (remove_columns and rename_column of datasets)"
    )


def _labels(part: Any, column: str, what: str) -> npt.NDArray[np.int64]:
    values = part.select_columns([column]).with_format("arrow")[:].column(column)
    if values.null_count:
        raise DataError(f"{what}: {values.null_count} of {len(values)} images have no label")
    return np.asarray(values.to_numpy(), dtype=np.int64)


def _label_names(feature: Any, labels: list[npt.NDArray[np.int64]]) -> tuple[str, ...]:
    names = getattr(feature, "names", None)
    if names is not None:
        return tuple(names)
    return tuple(str(label) for label in range(max(int(part.max(initial=-1)) for part in labels) + 1))


def _image_bytes(part: Any, column: str) -> npt.NDArray[np.int64]:
    """Bytes of each image as stored, -1 for one that is a file of its own; no image is read."""
    import pyarrow.compute as pc

    stored = part.select_columns([column]).with_format("arrow")[:].column(column)
    lengths = pc.fill_null(pc.binary_length(pc.struct_field(stored, "bytes")), -1)
    return np.asarray(lengths.to_numpy(), dtype=np.int64)
