from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.data import DigitsSource, ImageSource, PartOf, balanced_choice, balanced_order


def test_a_part_shows_its_own_images_and_no_others() -> None:
    source = DigitsSource()
    indices = [5, 1700, 3]
    part: ImageSource = PartOf(source, indices)
    assert part.labels.tolist() == source.labels[indices].tolist()
    for number, index in enumerate(indices):
        assert part.image(number).tobytes() == source.image(index).tobytes()
    for outside in (-1, 3, 5, 1700):
        with pytest.raises(IndexError, match="of a part with 3"):
            part.image(outside)
    assert part.label_names == source.label_names
    assert part.fingerprint() != PartOf(source, [5, 1700, 4]).fingerprint() != source.fingerprint()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 3), st.integers(1, 60))
def test_every_beginning_of_the_order_is_balanced(classes: list[int], seed: int, count: int) -> None:
    labels = np.array(classes, dtype=np.int64)
    order = balanced_order(labels, [seed])
    assert sorted(order.tolist()) == list(range(len(labels)))
    taken = np.bincount(labels[order[:count]], minlength=5)
    there = np.bincount(labels, minlength=5)
    # No class has two more than another that still has images left.
    left = taken < there
    if left.any():
        assert taken.max() <= taken[left].min() + 1
    assert (balanced_order(labels, [seed]) == order).all()


def test_the_seed_decides_the_order() -> None:
    labels = DigitsSource().labels
    assert (balanced_order(labels, [0]) != balanced_order(labels, [1])).any()
    assert len(set(labels[balanced_order(labels, [0])[:10]])) == 10


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 70), st.integers(0, 3), st.data())
def test_a_choice_is_balanced_whatever_the_order(
    labels: list[int], count: int, seed: int, data: st.DataObject
) -> None:
    every = np.array(labels)
    indices = data.draw(st.lists(st.integers(0, len(labels) - 1), unique=True, min_size=1))
    chosen = balanced_choice(indices, every, count, [seed])
    assert len(chosen) == len(set(chosen)) == min(count, len(indices))
    assert set(chosen) <= set(indices)
    there = np.bincount(every[indices], minlength=5)
    taken = np.bincount(every[chosen], minlength=5) if chosen else np.zeros(5, int)
    # A class has fewer than another only where it has no more.
    assert all(taken[label] == there[label] for label in range(5) if taken[label] < taken.max() - 1)
    assert chosen == balanced_choice(indices, every, count, [seed])
    assert chosen == balanced_choice(indices, every, count + 1, [seed])[:count]
