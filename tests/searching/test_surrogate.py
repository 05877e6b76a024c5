from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moocore import hypervolume
from search_parts import recipe

from anas_zoo.searching import Problem, Score, make_algorithm
from anas_zoo.searching.accuracy_model import AccuracyModel
from anas_zoo.searching.front import nondominated
from anas_zoo.searching.runner import records_of
from anas_zoo.searching.surrogate import LISTED, SurrogateSearch, choose_batch
from anas_zoo.space import Architecture, SearchSpace

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


class Even:
    """An evaluator for which one pixel more is one point."""

    images, images_forwarded, at_once = 100, 100, 1

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        return [Score(float(arch.resolution)) for arch in archs]


def test_of_a_small_space_the_front_of_the_model_is_that_of_all_there_is() -> None:
    space = SearchSpace.load("tiny")
    assert space.size <= LISTED
    problem = Problem(space, num_classes=10)
    algorithm = make_algorithm(problem, recipe("surrogate"), seed=[0, 2])
    assert isinstance(algorithm, SurrogateSearch)
    told = records_of(problem, Even(), algorithm.ask(), round_=0)
    algorithm.tell(told)

    def accuracy(codes: Any) -> Any:
        return codes[:, 0] - 0.01 * codes[:, 1:].sum(axis=1)

    found, losses = algorithm._front_of(
        cast(AccuracyModel, accuracy), space.encode([told[0].arch]), np.random.default_rng(0)
    )
    seen = {record.arch for record in told}
    new = space.encode([arch for arch in space.decode(space.every_code()) if arch not in seen])
    every = problem.losses_from(accuracy(new), problem.costs(new))
    wanted = every[nondominated(every)]
    assert sorted(map(tuple, losses)) == sorted(map(tuple, wanted))
    assert not {arch.id for arch in space.decode(found)} & {arch.id for arch in seen}
