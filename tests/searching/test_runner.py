from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from search_parts import RANGE, MadeUp, problem, recipe

from anas_zoo.core.errors import SearchError
from anas_zoo.searching import Archive, Budget, Evaluation, Score, make_algorithm, run_search
from anas_zoo.searching.runner import SearchResult
from anas_zoo.space import Architecture

ALGORITHMS = ["surrogate", "evolution", "nsga2", "random"]


def search(
    folder: Path, evaluator: MadeUp, *, name: str = "nsga2", count: int = 32, images: int | None = None
) -> SearchResult:
    algorithm = make_algorithm(problem(RANGE), recipe(name, count), seed=[0, 2])
    with Archive(folder / "evaluations.jsonl") as archive:
        return run_search(algorithm, evaluator, archive, Budget(count, images))


def test_every_evaluation_is_a_line_and_the_budget_is_kept(tmp_path: Path) -> None:
    evaluator = MadeUp()
    result = search(tmp_path, evaluator)
    lines = [json.loads(line) for line in (tmp_path / "evaluations.jsonl").read_text().splitlines()]
    assert [line["arch_id"] for line in lines] == [arch.id for arch in evaluator.asked]
    assert len(lines) == result.count == 32
    assert result.images_forwarded == 32 * 150
    assert {line["images"] for line in lines} == {100}
    rounds = [line["round"] for line in lines]
    assert rounds == sorted(rounds)


def test_a_budget_of_images(tmp_path: Path) -> None:
    assert search(tmp_path, MadeUp(), images=1000).count == 6  # of 150 each
    with pytest.raises(SearchError, match=r"149 images forwarded is less than one evaluation takes .150:"):
        search(tmp_path, MadeUp(), images=149)


class Level(MadeUp):
    """Gives every architecture the same accuracy."""

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        return [Score(50.0) for _ in super().__call__(archs)]


@pytest.mark.parametrize(
    ("name", "count"), [("surrogate", 80), ("evolution", 80), ("nsga2", 80), ("random", 256)]
)
def test_with_patience_a_search_ends_when_the_front_does_not_move(
    tmp_path: Path, name: str, count: int
) -> None:
    def searched(evaluator: MadeUp, patience: int, where: str) -> SearchResult:
        algorithm = make_algorithm(problem(RANGE), recipe(name, count), seed=[0, 2])
        with Archive(tmp_path / f"{where}.jsonl") as archive:
            return run_search(algorithm, evaluator, archive, Budget(count, patience=patience))

    impatient = searched(Level(), 2, "level")
    assert impatient.settled
    rounds = impatient.evaluations[-1].round + 1
    assert impatient.count < count
    moving = searched(MadeUp(), 2, "moving")
    whole = searched(MadeUp(), 0, "whole")
    assert whole.count == count
    assert not whole.settled
    assert moving.evaluations == whole.evaluations[: moving.count]
    assert moving.evaluations[-1].round + 1 > 2
    assert rounds > 2
    # What is told again ends where it ended, and patience 0 goes on from there.
    again = MadeUp()
    assert searched(again, 2, "moving") == moving
    assert not again.asked
    assert searched(again, 0, "moving") == whole


class Stopped(MadeUp):
    """Stops the search at one of its calls, as Ctrl-C does."""

    def __init__(self, after: int, at_once: int) -> None:
        super().__init__(at_once=at_once)
        self._left = after

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().__call__(archs)


@pytest.mark.parametrize(("name", "at_once"), [*((name, 5) for name in ALGORITHMS), ("nsga2", 1)])
def test_stopped_anywhere_it_ends_the_same_and_pays_nothing_twice(
    tmp_path: Path, name: str, at_once: int
) -> None:
    for folder in ("whole", "cut"):
        (tmp_path / folder).mkdir()
    whole = search(tmp_path / "whole", MadeUp(at_once=at_once), name=name)
    asked: list[Architecture] = []
    for after in (0, 2, 1, 2):
        evaluator = Stopped(after, at_once)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "cut", evaluator, name=name)
        asked += evaluator.asked
        # What was being written when the power went is not there.
        with (tmp_path / "cut" / "evaluations.jsonl").open("a") as file:
            file.write('{"arch":{"depth":[1,3')
    last = MadeUp(at_once=at_once)
    cut = search(tmp_path / "cut", last, name=name)
    assert len({*asked, *last.asked}) == len(asked) + len(last.asked) == 32
    assert cut == whole
    assert (tmp_path / "cut" / "evaluations.jsonl").read_bytes() == (
        tmp_path / "whole" / "evaluations.jsonl"
    ).read_bytes()


@pytest.mark.parametrize("name", ["nsga2", "random"])
def test_a_larger_budget_extends_a_finished_search(tmp_path: Path, name: str) -> None:
    for folder in ("at once", "extended"):
        (tmp_path / folder).mkdir()
    whole = search(tmp_path / "at once", MadeUp(), name=name, count=40)
    search(tmp_path / "extended", MadeUp(), name=name, count=21)
    evaluator = MadeUp()
    assert search(tmp_path / "extended", evaluator, name=name, count=40) == whole
    assert len(evaluator.asked) == 19
    again = MadeUp()
    assert search(tmp_path / "extended", again, name=name, count=10).count == 40  # nothing is thrown away
    assert not again.asked


def test_failures_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    result = search(tmp_path, MadeUp(fails=[0, 7, 8]))
    assert [failure.error for failure in result.failures] == ["RuntimeError: no memory"] * 3
    assert len(result.evaluations) == 29
    lines = [json.loads(line) for line in (tmp_path / "evaluations.jsonl").read_text().splitlines()]
    assert [n for n, line in enumerate(lines) if line["top1_pct"] is None] == [0, 7, 8]
    assert search(tmp_path, MadeUp()) == result  # from the archive


def test_when_everything_fails_it_ends_with_the_reason(tmp_path: Path) -> None:
    evaluator = MadeUp(fails=range(100))
    with pytest.raises(SearchError, match=r"the first 8 evaluations all failed; .*no memory"):
        search(tmp_path, evaluator)
    assert len(evaluator.asked) == 8


def test_costs_of_the_records_are_the_problems(tmp_path: Path) -> None:
    on = problem(RANGE)
    for item in search(tmp_path, MadeUp()).evaluations:
        assert isinstance(item, Evaluation)
        costs = on.costs(on.space.encode([item.arch]))
        assert {name: costs[name][0] for name in costs} == {
            "macs": item.macs,
            "params": item.params,
            "size_bytes": item.size_bytes,
        }
        assert item.latency_ms is None
