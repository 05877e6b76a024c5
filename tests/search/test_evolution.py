from __future__ import annotations

import numpy as np
import pytest

from anas_zoo.errors import SearchError
from anas_zoo.search import Evaluation, Evolution, SearchRecipe, pareto_front
from anas_zoo.space import Architecture, SearchSpace

SPACE = SearchSpace.load("attentive_nas")
RECIPE = SearchRecipe(initial=64, rounds=6, mutations=16, crossovers=16)


def score(arch: Architecture) -> Evaluation:
    """A smooth made-up accuracy: deeper, wider and larger is better, with a best kernel of 5 late."""
    gain = arch.resolution / 288 + sum(arch.depth) / 37 + sum(arch.width) / 3000
    gain += 0.1 * sum(k == 5 for k in arch.kernel_size[3:])
    macs = int(SPACE.macs([arch])[0])
    return Evaluation(arch, macs, int(SPACE.params([arch])[0]), 60.0 + 8.0 * gain, 1000)


def run(recipe: SearchRecipe, seed: int = 0) -> list[list[Evaluation]]:
    algorithm = Evolution(SPACE, recipe, np.random.default_rng(seed), num_classes=1000)
    rounds = []
    while archs := algorithm.ask():
        rounds.append([score(arch) for arch in archs])
        algorithm.tell(rounds[-1])
    return rounds


def area(evaluations: list[Evaluation]) -> float:
    """Hypervolume under 1200 M and over 60 %."""
    front = [e for e in pareto_front(evaluations) if e.macs <= 1200e6]
    total, top = 0.0, 60.0
    for item in front:
        total += (1200e6 - item.macs) / 1e6 * (item.top1_pct - top)
        top = item.top1_pct
    return total


def test_nothing_is_proposed_twice_and_the_budget_is_kept() -> None:
    rounds = run(RECIPE)
    assert [len(batch) for batch in rounds] == [64] + [32] * 6
    archs = [item.arch for batch in rounds for item in batch]
    assert len(set(archs)) == len(archs) == RECIPE.evaluations
    for arch in archs:
        SPACE.validate(arch)


def test_evolution_beats_random_search_of_the_same_budget() -> None:
    rng = np.random.default_rng(9)
    for seed in range(3):
        evolved = [item for batch in run(RECIPE, seed) for item in batch]
        drawn = [score(SPACE.sample(rng)) for _ in range(len(evolved))]
        assert area(evolved) > area(drawn)


def test_the_seed_decides() -> None:
    assert run(RECIPE, 3) == run(RECIPE, 3)
    assert run(RECIPE, 3) != run(RECIPE, 4)


def test_the_range_is_kept() -> None:
    recipe = RECIPE.model_copy(update={"min_macs": 300_000_000, "max_macs": 400_000_000})
    macs = [item.macs for batch in run(recipe) for item in batch]
    assert len(macs) > 64
    assert all(300e6 <= value <= 400e6 for value in macs)


def test_the_ends_of_the_space_are_among_the_first() -> None:
    first = {item.arch for item in run(RECIPE)[0]}
    assert {SPACE.smallest, SPACE.largest} <= first


def test_an_impossible_range_ends_with_what_is_possible() -> None:
    recipe = RECIPE.model_copy(update={"max_macs": 100_000_000})
    with pytest.raises(SearchError, match=r"from 203\.39 to 1939\.34"):
        run(recipe)


def test_a_space_smaller_than_the_budget_is_exhausted_and_ends() -> None:
    tiny = SearchSpace.from_dict(
        {
            "name": "tiny",
            "resolution": [8],
            "stem": {"width": [8, 16]},
            "stages": [
                {
                    "name": "s",
                    "width": [8, 16],
                    "depth": [1],
                    "kernel_size": [3],
                    "expand_ratio": [2],
                    "stride": 1,
                    "se": False,
                }
            ],
            "head": {"width": [8]},
        }
    )
    algorithm = Evolution(tiny, RECIPE, np.random.default_rng(0), num_classes=10)
    seen = []
    while archs := algorithm.ask():
        batch = [Evaluation(a, int(tiny.macs([a], 10)[0]), 1, 50.0, 10) for a in archs]
        algorithm.tell(batch)
        seen += batch
    assert len(seen) == tiny.size == 4


def test_limits_scale_the_rounds() -> None:
    for budget in (1, 10, 100, 256, 1000, 5632, 9000):
        limited = SearchRecipe().with_limits(min_macs=None, max_macs=None, evaluations=budget)
        assert limited.evaluations == budget
        assert limited.initial >= 1
    with pytest.raises(SearchError, match="min_macs"):
        SearchRecipe().with_limits(min_macs=5, max_macs=4, evaluations=None)
