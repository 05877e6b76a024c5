"""The split into train, search and test images: made once, stratified, seeded, written down."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from anas_zoo.errors import DataError
from anas_zoo.schema import Schema

__all__ = ["Split", "SplitRecipe", "make_split"]


class SplitRecipe(Schema):
    """Which part of each class goes where; the rest is for training."""

    search_fraction: float = Field(0.15, gt=0, lt=1)
    test_fraction: float = Field(0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.search_fraction + self.test_fraction >= 1:
            raise ValueError("search_fraction + test_fraction must be under 1")
        return self


class Split(Schema):
    """Image indices of the three parts, disjoint, together with what they are indices of.

    Training reads ``train``; a search scores on ``search``; ``test`` is touched once, for the report.
    """

    source: str
    source_sha256: str
    seed: int
    train: tuple[int, ...]
    search: tuple[int, ...]
    test: tuple[int, ...]

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        parts = [set(self.train), set(self.search), set(self.test)]
        if len(set.union(*parts)) != len(self.train) + len(self.search) + len(self.test):
            raise ValueError("an image is in two parts of the split, or twice in one")
        return self


def make_split(
    labels: npt.NDArray[np.int64],
    recipe: SplitRecipe,
    *,
    seed: int,
    source: str,
    source_sha256: str,
    class_names: tuple[str, ...] = (),
) -> Split:
    """Shuffle each class by ``seed`` and cut it; every class is in every part.

    Raises :class:`DataError` naming the classes with fewer than three images.
    """
    rng = np.random.default_rng(seed)
    train: list[int] = []
    search: list[int] = []
    test: list[int] = []
    too_few = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label)).tolist()
        if len(members) < 3:
            name = class_names[label] if class_names else str(label)
            too_few.append(f"{name!r} ({len(members)})")
            continue
        n_test = max(1, round(len(members) * recipe.test_fraction))
        n_search = max(1, round(len(members) * recipe.search_fraction))
        test += members[:n_test]
        search += members[n_test : n_test + n_search]
        train += members[n_test + n_search :]
    if too_few:
        raise DataError(
            "every class needs at least 3 images (train, search, test); too few in: " + ", ".join(too_few)
        )
    if not train:
        raise DataError("no images are left to train on; use smaller search and test fractions")
    return Split(
        source=source,
        source_sha256=source_sha256,
        seed=seed,
        train=tuple(sorted(train)),
        search=tuple(sorted(search)),
        test=tuple(sorted(test)),
    )
