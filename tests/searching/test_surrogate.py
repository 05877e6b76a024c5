from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moocore import hypervolume

from anas_zoo.searching.surrogate import choose_batch

points = st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12)


@settings(deadline=None)
@given(points, points, st.integers(1, 4))
def test_a_batch_is_chosen_greedily(
    front: list[tuple[int, ...]], candidates: list[tuple[int, ...]], count: int
) -> None:
    reference_point = np.full(3, 6.0)

    def volume(losses: np.ndarray) -> float:
        return float(hypervolume(losses, ref=reference_point))

    taken, offered = np.array(front, dtype=float), np.array(candidates, dtype=float)
    chosen = choose_batch(taken, offered, reference_point, count)
    assert len(set(chosen)) == len(chosen) <= count
    for place in chosen:
        gains = [volume(np.vstack([taken, row])) for row in offered]
        assert gains[place] == pytest.approx(max(gains))
        assert gains[place] > volume(taken)
        taken = np.vstack([taken, offered[place]])
    if len(chosen) < count:  # nothing was left that adds anything
        now = volume(taken)
        assert all(volume(np.vstack([taken, row])) == pytest.approx(now) for row in offered)
