from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.data import DigitsSource, Split, SplitRecipe, make_split
from anas_zoo.errors import ConfigError, DataError
from anas_zoo.schema import parse


def split_of(labels: np.ndarray, seed: int = 0, **fractions: float) -> Split:
    return make_split(labels, SplitRecipe(**fractions), seed=seed, source="x", source_sha256="0")


@given(
    counts=st.lists(st.integers(3, 60), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    search=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
)
def test_parts_are_disjoint_complete_and_stratified(
    counts: list[int], seed: int, search: float, test: float
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    split = split_of(labels, seed, search_fraction=search, test_fraction=test)
    assert sorted(split.train + split.search + split.test) == list(range(len(labels)))
    for label, count in enumerate(counts):
        in_test = sum(labels[i] == label for i in split.test)
        in_search = sum(labels[i] == label for i in split.search)
        assert in_test == max(1, round(count * test))
        assert in_search == max(1, round(count * search))


def test_the_seed_decides_and_nothing_else() -> None:
    labels = DigitsSource().labels
    assert split_of(labels, 3) == split_of(labels, 3)
    assert split_of(labels, 3) != split_of(labels, 4)


def test_digits_split_has_every_class_in_every_part() -> None:
    labels = DigitsSource().labels
    split = split_of(labels)
    for part in (split.train, split.search, split.test):
        assert set(labels[list(part)]) == set(range(10))
    assert len(split.test) > 300


def test_too_small_classes_are_named_all_at_once() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2])
    with pytest.raises(DataError, match=r"too few in: 'b' \(2\), 'c' \(1\)"):
        make_split(labels, SplitRecipe(), seed=0, source="x", source_sha256="0", class_names=("a", "b", "c"))


def test_a_written_split_with_an_image_in_two_parts_is_refused() -> None:
    data = split_of(DigitsSource().labels).model_dump(mode="json")
    data["search"][0] = data["train"][0]
    with pytest.raises(ConfigError, match="two parts"):
        parse(Split, data, "split.json")


def test_fractions_must_leave_something_to_train_on() -> None:
    with pytest.raises(ConfigError, match="must be under 1"):
        parse(SplitRecipe, {"search_fraction": 0.5, "test_fraction": 0.5}, "recipe")
