from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.data import DigitsSource, ImageSource, PartOf, balanced_order


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
