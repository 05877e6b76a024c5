"""The label column of a Hugging Face dataset, as Arrow holds it: its classes, and the class of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import DataError

__all__ = ["class_names_of", "class_numbers", "is_unpublished", "refuse_missing", "refuse_strange"]

NAMED = 5  # classes that an error names
MAX_CLASSES = 10**6  # of labels that are numbers


def _is_string(column: Any) -> bool:
    return "string" in str(column.type)


def _missing(column: Any) -> int:
    """How many rows have no label."""
    import pyarrow.compute as pc

    empty = pc.sum(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py() if _is_string(column) else 0
    return int(column.null_count) + (empty or 0)


def is_unpublished(column: Any) -> bool:
    """Whether a part has labels in name only: none, or negative ones throughout."""
    import pyarrow.compute as pc

    if len(column) and _missing(column) == len(column):
        return True
    return "int" in str(column.type) and (pc.max(column).as_py() or 0) < 0


def refuse_missing(column: Any, what: str) -> None:
    """Raise :class:`DataError` where ``what`` has no rows, or some without a label."""
    if not len(column):
        raise DataError(f"{what}: no images")
    if missing := _missing(column):
        raise DataError(f"{what}: {missing} of {len(column)} images have no label")


def class_names_of(name: str, feature: Any, columns: list[Any]) -> tuple[str, ...]:
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
        raise DataError(f"{name}: a label is {largest}, which is no class number; give labels from 0")
    return tuple(str(label) for label in range(largest + 1))


def class_numbers(column: Any, label_names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Class indices (N,); -1 for a string that is none of the classes."""
    if _is_string(column):
        index = {name: label for label, name in enumerate(label_names)}
        return np.array([index.get(value, -1) for value in column.to_pylist()], dtype=np.int64)
    return np.asarray(column.to_numpy(), dtype=np.int64)


def refuse_strange(
    column: Any, numbers: npt.NDArray[np.int64], label_names: tuple[str, ...], what: str
) -> None:
    """Raise :class:`DataError` for a label that is none of the classes."""
    strange = np.flatnonzero((numbers < 0) | (numbers >= len(label_names)))
    if not len(strange):
        return
    expected = f"labels 0 to {len(label_names) - 1}"
    if _is_string(column):
        more = f" and {len(label_names) - NAMED} more" if len(label_names) > NAMED else ""
        expected = f"a class of the training part: {', '.join(map(repr, label_names[:NAMED]))}{more}"
    label = column[int(strange[0])].as_py()
    raise DataError(f"{what}: image {strange[0]} has the label {label!r}; expected {expected}")
