from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.searching.front import nondominated
from anas_zoo.searching.hypervolume import choose_batch, hypervolume

points = st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12)


def counted(losses: np.ndarray, reference: np.ndarray) -> int:
    """Unit cells that some row dominates, for whole numbers."""
    cells = itertools.product(*(range(int(r)) for r in reference))
    return sum(any((row <= cell).all() for row in losses) for cell in np.array(list(cells)))


@settings(deadline=None)
@given(points)
def test_it_is_the_volume(found: list[tuple[int, ...]]) -> None:
    for objectives in (2, 3):
        losses = np.array(found, dtype=float)[:, :objectives]
        reference = np.full(objectives, 6.0)
        assert hypervolume(losses, reference) == pytest.approx(counted(losses, reference))


@settings(deadline=None)
@given(points, points, st.integers(1, 4))
def test_a_batch_is_chosen_greedily(
    front: list[tuple[int, ...]], candidates: list[tuple[int, ...]], count: int
) -> None:
    reference = np.full(3, 6.0)
    taken, offered = np.array(front, dtype=float), np.array(candidates, dtype=float)
    chosen = choose_batch(taken, offered, reference, count)
    assert len(set(chosen)) == len(chosen) <= count
    for place in chosen:
        gains = [hypervolume(np.vstack([taken, row]), reference) for row in offered]
        assert gains[place] == pytest.approx(max(gains))
        assert gains[place] > hypervolume(taken, reference)
        taken = np.vstack([taken, offered[place]])
    if len(chosen) < count:  # nothing was left that adds anything
        now = hypervolume(taken, reference)
        assert all(hypervolume(np.vstack([taken, row]), reference) == pytest.approx(now) for row in offered)


@given(points)
def test_nondominated_rows_of_any_number_of_objectives(found: list[tuple[int, ...]]) -> None:
    for objectives in (1, 2, 3):
        losses = np.array(found, dtype=float)[:, :objectives]
        kept = nondominated(losses)
        rows = losses[kept]
        assert len(np.unique(rows, axis=0)) == len(rows)
        for place, row in enumerate(losses):
            beaten = ((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any()
            assert beaten != any((row == other).all() for other in rows)
            if place in kept:
                assert not any((row == losses[before]).all() for before in range(place))
