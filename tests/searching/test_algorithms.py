from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moocore import hypervolume
from search_parts import RANGE, SPACE, MadeUp, accuracy, latency_ms, problem, recipe

from anas_zoo.searching import (
    Algorithm,
    Archive,
    Budget,
    Evaluation,
    Problem,
    SearchRecipe,
    make_algorithm,
    run_search,
)
from anas_zoo.space import SearchSpace

ALGORITHMS = ["surrogate", "evolution", "nsga2", "random"]


def rounds_of(algorithm: Algorithm, count: int) -> list[list[Evaluation]]:
    """Ask and tell until that many evaluations are made."""
    rounds: list[list[Evaluation]] = []
    while sum(map(len, rounds)) < count and (archs := algorithm.ask()):
        costs = algorithm.problem.costs(algorithm.problem.space.encode(archs))
        latency = costs.get("latency_ms")
        rounds.append(
            [
                Evaluation(
                    arch,
                    macs=int(costs["macs"][i]),
                    params=int(costs["params"][i]),
                    top1_pct=accuracy(arch),
                    images=100,
                    latency_ms=None if latency is None else float(latency[i]),
                )
                for i, arch in enumerate(archs)
            ]
        )
        algorithm.tell(rounds[-1])
    return rounds


def make(name: str, on: Problem, count: int = 40, seed: int = 0) -> Algorithm:
    return make_algorithm(on, recipe(name, count), seed=[seed, 2])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_nothing_twice_nothing_outside_and_the_seed_decides(name: str) -> None:
    limits = RANGE | {"resolution": [224, 256], "params": {"max": 14e6}}
    rounds = rounds_of(make(name, problem(limits)), 40)
    items = [item for batch in rounds for item in batch]
    assert len(rounds) > 1
    assert len({item.arch for item in items}) == len(items) >= 40
    for item in items:
        SPACE.validate(item.arch)
        assert 200e6 <= item.macs <= 1200e6
        assert item.params <= 14e6
        assert item.arch.resolution in (224, 256)
    assert rounds == rounds_of(make(name, problem(limits)), 40)
    assert rounds != rounds_of(make(name, problem(limits), seed=1), 40)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_round_depends_on_the_evaluations_alone(name: str) -> None:
    """An algorithm that is only given the first rounds asks for the same as the one that asked for them."""
    whole = rounds_of(make(name, problem(RANGE)), 40)
    for cut in (1, len(whole) - 1):
        again = make(name, problem(RANGE))
        for batch in whole[:cut]:
            again.tell(batch[::-1])  # their order says nothing
        assert again.round == cut
        assert again.ask() == [item.arch for item in whole[cut]]


def volume(items: list[Evaluation], on: Problem) -> float:
    losses = on.losses(items)
    return float(hypervolume(losses, ref=np.array([-60.0, 1200e6])))


@pytest.mark.slow
def test_all_beat_random_search_and_the_surrogate_beats_all() -> None:
    found: dict[str, list[float]] = {name: [] for name in ALGORITHMS}
    for name in ALGORITHMS:
        for seed in range(2):
            on = problem(RANGE)
            items = [i for batch in rounds_of(make(name, on, 80, seed), 80) for i in batch][:80]
            found[name].append(volume(items, on))
    assert min(found["surrogate"]) > max(found["nsga2"] + found["evolution"])
    for name in ("nsga2", "evolution"):
        assert np.mean(found[name]) > np.mean(found["random"])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_three_objectives(name: str) -> None:
    on = problem(RANGE, objectives=("top1_pct", "macs", "latency_ms"), latency_ms=latency_ms)
    items = [item for batch in rounds_of(make(name, on, 40), 40) for item in batch]
    front = on.front(items)
    losses = on.losses(items)
    for item in front:
        own = on.losses([item])[0]
        assert not ((losses <= own).all(axis=1) & (losses < own).any(axis=1)).any()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_least_accuracy_keeps_the_front_above_it(name: str) -> None:
    on = problem(RANGE | {"top1_pct": {"min": 78.0}})
    items = [item for batch in rounds_of(make(name, on, 40), 40) for item in batch]
    front = on.front(items)
    assert front
    assert min(item.top1_pct for item in front) >= 78.0


def tiny_space(**changes: Any) -> SearchSpace:
    stage = {"name": "s", "width": [8, 16], "depth": [1], "kernel_size": [3], "expand_ratio": [2]}
    return SearchSpace.from_dict(
        {
            "name": "tiny",
            "resolution": [8],
            "stem": {"width": [8, 16]},
            "stages": [stage | {"stride": 1, "se": False}],
            "head": {"width": [8]},
        }
        | changes
    )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_space_smaller_than_the_budget_is_searched_whole(name: str, tmp_path: Path) -> None:
    tiny = tiny_space()
    on = Problem(tiny, num_classes=10)
    with Archive(tmp_path / "e.jsonl") as archive:
        result = run_search(make(name, on), MadeUp(), archive, Budget(40))
    assert result.exhausted
    assert len({item.arch for item in result.evaluations}) == result.count == tiny.size == 4


def test_the_ends_of_the_space_come_first_where_the_supernet_is_known_best() -> None:
    for name in ("surrogate", "evolution", "nsga2"):
        assert {SPACE.smallest, SPACE.largest} <= set(make(name, problem()).ask())


def test_the_authors_evolution_has_the_authors_sizes() -> None:
    sizes = SearchRecipe(algorithm="evolution", evaluations=5632).evolution.sizes(5632)
    assert sizes == (512, 128, 128)
    for budget in (1, 2, 10, 100, 513, 9000):
        initial, mutants, children = SearchRecipe().evolution.sizes(budget)
        assert initial >= 1
        assert initial + 20 * (mutants + children) >= budget


def test_failures_are_not_proposed_again_and_teach_nothing(tmp_path: Path) -> None:
    for name in ALGORITHMS:
        evaluator = MadeUp(fails=(3, 7, 18))
        with Archive(tmp_path / f"{name}.jsonl") as archive:
            result = run_search(make(name, problem(RANGE)), evaluator, archive, Budget(24))
        assert len(result.failures) == 3
        assert result.count == len(set(evaluator.asked)) == 24
