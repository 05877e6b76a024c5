"""Hugging Face datasets, from the Hub or from a folder, named as timm's ``hfds/`` reader names them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.images import read_image
from anas_zoo.core.resources import install_command
from anas_zoo.data.part_names import HELD_OUT, TRAIN, by_part, note_parts
from anas_zoo.entry import WHOLE_IMAGE

# Names that are preferred where the types of the columns leave a choice.
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
LABEL_TYPES = ("int", "bool", "string")  # parts of the types' names, such as uint8, by rank
NAMED = 5  # classes that an error names
MAX_CLASSES = 10**6  # of labels that are numbers


class HfDatasetSource:
    """The dataset ``NAME`` or ``NAME:CONFIG``: its train part, and its validation or test part.

    Parts go by the spellings of anas_zoo/data/part_names.py. A test part whose labels were not published (all
    of them negative) counts as none. The image column is the one of the feature type Image, the label column
    the one of the type ClassLabel, or else one of whole numbers, booleans or strings that is called label;
    strings are classes in the order of the alphabet. Where several fit, the usual name decides: image or img;
    label, labels or fine_label.

    Raises :class:`DataError` when the package ``datasets`` is missing, when the dataset cannot be loaded or
    has no train part, when its columns are not of that kind, when an image of it has no label, and when a
    class is in the test part only.
    """

    preprocessing = WHOLE_IMAGE

    def __init__(self, dataset: str) -> None:
        self.name = f"hfds/{dataset}"
        place, config = place_and_config(dataset)
        title = f"{Path(place).name}{config and ':'}{config}" if Path(place).exists() else repr(dataset)
        self.title = f"Hugging Face dataset {title}"
        info = _load(place, config)
        parts = by_part(info, self.name)
        if TRAIN not in parts:
            raise DataError(f"{self.name}: no part called {TRAIN!r}; it has: {', '.join(info)}")
        names = [parts[part] for part in (TRAIN, *HELD_OUT) if part in parts][:2]
        features = info[names[0]].features
        self.licence = info[names[0]].info.license or "unknown"
        self._image_column, label_column = _columns(self.name, features)
        columns = [_column(info[part], label_column) for part in names]
        if len(names) == 2 and _is_unpublished(columns[1]):
            del names[1], columns[1]
        for part, column in zip(names, columns, strict=True):
            _refuse_missing(column, f"{self.name}, part {part!r}")
        self.label_names = _class_names_of(self.name, features[label_column], columns)
        labels = [
            _class_numbers(column, self.label_names, f"{self.name}, part {part!r}")
            for part, column in zip(names, columns, strict=True)
        ]
        note_parts(self.name, names, [part for part in info if part not in names])
        self._parts = names
        # As they are stored: all sources decode images in one way.
        stored = type(features[self._image_column])(decode=False)
        self._stored = [info[part].cast_column(self._image_column, stored) for part in names]
        self.labels: npt.NDArray[np.int64] = np.concatenate(labels)
        self.test_indices: npt.NDArray[np.int64] | None = None
        if len(names) == 2:
            self.test_indices = np.arange(len(labels[0]), len(self.labels), dtype=np.int64)

    def image(self, index: int) -> Image.Image:
        """Image ``index`` in RGB. Raises :class:`DataError` naming the dataset and the index."""
        with self.stored_file(index) as file:
            return read_image(file, name=self._what(index))

    def stored_bytes(self) -> npt.NDArray[np.int64]:
        """Size of each image in bytes, (N,) int64; -1 for one that is a file of its own."""
        return np.concatenate([_image_bytes(part, self._image_column) for part in self._stored])

    def stored_file(self, index: int) -> BinaryIO:
        """Image ``index`` as it is stored. Raises :class:`DataError` naming the dataset and the index."""
        part, row = self._place(index)
        stored = self._stored[part][row][self._image_column] or {}
        if stored.get("bytes"):
            return io.BytesIO(stored["bytes"])
        if not stored.get("path"):
            raise DataError(f"{self._what(index)}: cannot be opened (the row holds no image)")
        try:
            return Path(stored["path"]).open("rb")
        except OSError as exc:
            raise DataError(f"{self._what(index)}: cannot be opened ({exc.strerror})") from exc

    def _place(self, index: int) -> tuple[int, int]:
        """(part, row in it) of image ``index``."""
        count = len(self._stored[0])
        return (0, index) if index < count else (1, index - count)

    def _what(self, index: int) -> str:
        part, row = self._place(index)
        return f"{self.name}: image {index} ({self._parts[part]}, row {row})"

    def fingerprint(self) -> str:
        """Hash of the parts, the class names, the labels, and the sizes of the images that are stored inside.

        The hash that ``datasets`` itself gives depends on where its cache lies.
        """
        head = canonical_json([self._parts, [len(part) for part in self._stored], list(self.label_names)])
        return sha256_bytes(head.encode() + self.stored_bytes().tobytes() + self.labels.tobytes())


def place_and_config(dataset: str, within: Path = Path()) -> tuple[str, str]:
    """The folder, meant in ``within``, or the name on the Hub; and the configuration, "" without one."""
    if ":" not in dataset or (within / dataset).exists():
        return dataset, ""
    place, _, config = dataset.rpartition(":")
    return place, config


def _load(place: str, config: str) -> Any:
    """All parts of a dataset by name, images not decoded."""
    try:
        import datasets
    except ImportError as exc:
        raise DataError(
            f"hfds/{place} needs the package 'datasets'; run: {install_command('hf-datasets')}"
        ) from exc
    try:
        return datasets.load_dataset(place, config or None)
    except Exception as exc:  # it goes through several libraries, each with errors of its own
        cause = exc.__cause__ if isinstance(exc, datasets.exceptions.DatasetGenerationError) else None
        reason = " ".join(str(cause or exc).split())[:300]  # which names the configurations that there are
        raise DataError(
            f"hfds/{place}: cannot be loaded ({reason}); give hfds/NAME or hfds/NAME:CONFIG, of a dataset on "
            "the Hub or of a folder of its files"
        ) from exc


def _columns(name: str, features: Any) -> tuple[str, str]:
    """The columns of the images and of the labels."""
    import datasets

    images = [column for column, kind in features.items() if isinstance(kind, datasets.Image)]
    labels = [column for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if not labels:
        plain = [c for c in LABEL_COLUMNS if c in features and isinstance(features[c], datasets.Value)]
        by_type = ([c for c in plain if kind in features[c].dtype] for kind in LABEL_TYPES)
        labels = next(filter(None, by_type), [])
    known = ", ".join(features)
    image = _only(name, images, IMAGE_COLUMNS, "image column (feature type Image)", known)
    return image, _only(
        name,
        labels,
        LABEL_COLUMNS,
        "label column (ClassLabel, or numbers, booleans or strings called label)",
        known,
    )


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


def _column(part: Any, column: str) -> Any:
    """A column as Arrow holds it; nothing else is read."""
    return part.select_columns([column]).with_format("arrow")[:].column(column)


def _image_bytes(part: Any, column: str) -> npt.NDArray[np.int64]:
    """Bytes of each image as stored, -1 for one that is a file of its own; no image is read."""
    import pyarrow.compute as pc

    stored = pc.struct_field(_column(part, column), "bytes")
    lengths = pc.fill_null(pc.binary_length(stored), -1)
    return np.asarray(lengths.to_numpy(), dtype=np.int64)


def _is_string(column: Any) -> bool:
    return "string" in str(column.type)


def _missing(column: Any) -> int:
    """How many rows have no label."""
    import pyarrow.compute as pc

    empty = pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() if _is_string(column) else 0
    return int(column.null_count) + (empty or 0)


def _is_unpublished(column: Any) -> bool:
    """Whether a part has labels in name only: none, or negative ones throughout."""
    import pyarrow.compute as pc

    if len(column) and _missing(column) == len(column):
        return True
    return "int" in str(column.type) and (pc.max(column).as_py() or 0) < 0


def _refuse_missing(column: Any, what: str) -> None:
    """Raise :class:`DataError` where ``what`` has no rows, or some without a label."""
    if not len(column):
        raise DataError(f"{what}: no images")
    if missing := _missing(column):
        raise DataError(f"{what}: {missing} of {len(column)} images have no label")


def _class_names_of(name: str, feature: Any, columns: list[Any]) -> tuple[str, ...]:
    """The classes of a label column, whose rows in the training part come first in ``columns``.

    The names are the feature's, where it has some; strings are their own names, in the order of the alphabet.
    Raises :class:`DataError` for numbers that are no class numbers.
    """
    names = getattr(feature, "names", None)
    if names is not None:
        return tuple(names)
    if feature.dtype == "bool":
        return ("False", "True")
    if _is_string(columns[0]):
        return tuple(sorted(columns[0].unique().to_pylist()))
    largest = max(int(np.max(column.to_numpy())) for column in columns)
    if largest >= MAX_CLASSES:
        raise DataError(f"{name}: a label is {largest}, which is not a class number; give labels from 0")
    return tuple(str(label) for label in range(largest + 1))


def _class_numbers(column: Any, label_names: tuple[str, ...], what: str) -> npt.NDArray[np.int64]:
    """Class indices (N,). Raises :class:`DataError` for a label that is none of the classes."""
    if _is_string(column):
        index = {name: label for label, name in enumerate(label_names)}
        numbers = np.array([index.get(value, -1) for value in column.to_pylist()], dtype=np.int64)
        more = f" and {len(label_names) - NAMED} more" if len(label_names) > NAMED else ""
        expected = f"a class of the training part: {', '.join(map(repr, label_names[:NAMED]))}{more}"
    else:
        numbers = np.asarray(column.to_numpy(), dtype=np.int64)
        expected = f"labels 0 to {len(label_names) - 1}"
    strange = np.flatnonzero((numbers < 0) | (numbers >= len(label_names)))
    if len(strange):
        label = column[int(strange[0])].as_py()
        raise DataError(f"{what}: image {strange[0]} has the label {label!r}; expected {expected}")
    return numbers
