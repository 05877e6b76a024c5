from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.core.errors import SearchError
from anas_zoo.core.files import write_json
from anas_zoo.searching import (
    Archive,
    Evaluation,
    best_under,
    pareto_front,
    pick_across,
    pick_by_area,
    pick_subnets,
)
from anas_zoo.searching.archive import read_evaluations, read_front
from anas_zoo.searching.front import Answer, answers_of, nondominated
from anas_zoo.space import Architecture


def evaluation(macs: int, top1_pct: float, tag: int = 1) -> Evaluation:
    arch = Architecture(macs, (tag, tag, tag), (1,), (3,), (1,))
    return Evaluation(arch=arch, macs=macs, params=10, top1_pct=top1_pct, images=100)


points = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 20).map(float), st.integers(1, 3)),
    min_size=1,
    max_size=40,
    unique_by=lambda p: (p[0], p[2]),
)


def dominates(a: Evaluation, b: Evaluation) -> bool:
    better = a.macs < b.macs or a.top1_pct > b.top1_pct
    return a.macs <= b.macs and a.top1_pct >= b.top1_pct and better


@settings(max_examples=30, deadline=None)
@given(points)
def test_the_front_is_what_nothing_dominates(found: list[tuple[int, float, int]]) -> None:
    items = [evaluation(*point) for point in found]
    front = pareto_front(items)
    assert not any(dominates(other, kept) for kept in front for other in items)
    for item in items:  # whatever is left out is dominated, or equal in both to one that is kept
        twin = any((item.macs, item.top1_pct) == (kept.macs, kept.top1_pct) for kept in front)
        assert item in front or twin or any(dominates(kept, item) for kept in front)
    assert front == pareto_front(reversed(items))
    assert [item.macs for item in front] == sorted({item.macs for item in front})


@settings(max_examples=30, deadline=None)
@given(points, st.integers(1, 5))
def test_picked_subnets_are_distinct_ordered_and_start_from_the_front(
    found: list[tuple[int, float, int]], count: int
) -> None:
    items = [evaluation(*point) for point in found]
    if len(items) < count:
        with pytest.raises(SearchError, match="were evaluated"):
            pick_subnets(items, count)
        return
    picked = pick_subnets(items, count)
    assert len({item.arch for item in picked}) == count
    assert [item.macs for item in picked] == sorted(item.macs for item in picked)
    front = pareto_front(items)
    if len(front) >= count:
        assert all(item in front for item in picked)
        if count > 1:
            assert picked[0] == front[0]
            assert picked[-1] == front[-1]


@settings(max_examples=30, deadline=None)
@given(points, st.integers(1, 5))
def test_subnets_picked_across_are_the_best_of_their_part_of_the_costs(
    found: list[tuple[int, float, int]], count: int
) -> None:
    items = [evaluation(*point) for point in found]
    if len(items) < count:
        with pytest.raises(SearchError, match="were evaluated"):
            pick_across(items, count)
        return
    picked = pick_across(items, count)
    assert len({item.arch for item in picked}) == count
    assert [item.macs for item in picked] == sorted(item.macs for item in picked)
    assert picked == pick_across(list(reversed(items)), count)
    if count > 1:
        low, high = (min(item.macs for item in items), max(item.macs for item in items))
        reach = (high / low) ** (0.5 / (count - 1)) * (1 + 1e-9)
        best = max(item.top1_pct for item in items if item.macs <= low * reach)
        assert any(item.top1_pct == best and item.macs <= low * reach for item in picked)
        assert any(item.macs >= high / reach for item in picked)


@settings(max_examples=30, deadline=None)
@given(points, st.integers(1, 4))
def test_no_other_choice_of_the_front_has_a_larger_area(
    found: list[tuple[int, float, int]], count: int
) -> None:
    front = pareto_front([evaluation(*point) for point in found])
    picked = pick_by_area(front, count)
    assert picked == [item for item in front if item in picked]
    assert len(picked) == min(count, len(front))

    def area(chosen: Sequence[Evaluation]) -> float:
        ends = [math.log(item.macs) for item in chosen[1:]] + [math.log(2 * front[-1].macs)]
        return sum(
            (item.top1_pct - front[0].top1_pct) * (end - math.log(item.macs))
            for item, end in zip(chosen, ends, strict=True)
        )

    others = itertools.combinations(front, min(count, len(front)))
    assert area(picked) == pytest.approx(max(map(area, others)))


def test_where_the_front_is_short_large_subnets_are_picked_too() -> None:
    items = [evaluation(10, 99.0), evaluation(95, 97.0), evaluation(100, 96.0), evaluation(1000, 98.0)]
    assert [item.macs for item in pareto_front(items)] == [10]
    assert [item.macs for item in pick_across(items, 3)] == [10, 95, 1000]


def test_best_under_a_budget() -> None:
    items = [evaluation(10, 90.0), evaluation(20, 95.0), evaluation(25, 95.0), evaluation(30, 99.0)]
    assert best_under(items, 29).macs == 20
    assert best_under(items, 1000).macs == 30
    with pytest.raises(SearchError, match=r"within 5e-06 MFLOPs; the cheapest has 1e-05"):
        best_under(items, 5)


@settings(max_examples=30, deadline=None)
@given(points, st.integers(1, 60), st.sampled_from([("top1_pct", "macs"), ("top1_pct", "params")]))
def test_front_and_answers_choose_alike(
    found: list[tuple[int, float, int]], limit: int, objectives: tuple[str, str]
) -> None:
    """Of equal ones the front kept the smallest id, and what was answered and extracted had the largest."""
    items = [evaluation(*point) for point in found]
    cost = objectives[1]
    (answer,) = answers_of(items, [(cost, limit)])
    inside = [item for item in pareto_front(items, objectives) if item.value(cost) <= limit]
    assert answer.best == (inside[-1] if inside else None)
    assert answers_of(items[::-1], [(cost, limit)]) == [answer]
    if cost == "macs" and answer.best is not None:
        assert best_under(items, limit) == answer.best


def test_of_equal_ones_the_smallest_id_is_taken() -> None:
    twins = [evaluation(10, 90.0, tag) for tag in (1, 2, 3)]
    first = min(twins, key=lambda e: e.arch.id)
    assert pareto_front(twins) == [first]
    assert best_under(twins, 10) == first
    assert answers_of(twins, [("macs", 10), ("params", 10)]) == [
        Answer("macs", 10, first),
        Answer("params", 10, first),
    ]


def test_archive_and_front_are_read_back(tmp_path: Path) -> None:
    items = [evaluation(10, 90.0), evaluation(20, 95.5)]
    with Archive(tmp_path / "evaluations.jsonl") as archive:
        for number, item in enumerate(items, 1):
            archive.add([item])
            # durable when reported: another reader sees it while the archive is still open
            assert read_evaluations(tmp_path / "evaluations.jsonl") == items[:number]
    write_json(tmp_path / "front.json", {"seed": 1, "front": [item.to_dict() for item in items]})
    assert read_front(tmp_path / "front.json") == items

    path = tmp_path / "evaluations.jsonl"
    path.write_text(path.read_text() + '{"arch": {"resol')
    with pytest.raises(SearchError, match="line 3: cut in the middle of a line"):
        read_evaluations(path)
    (tmp_path / "front.json").write_text('{"other": 1}')
    with pytest.raises(SearchError, match="not the front of a search"):
        read_front(tmp_path / "front.json")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=1, max_size=12))
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


def test_subnets_are_picked_by_the_cost_that_was_weighed() -> None:
    # The cheaper in multiply-adds, the slower: the fronts differ.
    found = [
        replace(evaluation(macs, top1), latency_ms=latency)
        for macs, top1, latency in [(10, 70, 9.0), (20, 80, 4.0), (30, 90, 2.0), (40, 60, 1.0)]
    ]
    picked = pick_subnets(found, 2, ("top1_pct", "latency_ms"))
    assert [item.latency_ms for item in picked] == [1.0, 2.0]
    assert [item.macs for item in pick_subnets(found, 2)] == [10, 30]


def test_a_cost_that_nothing_was_weighed_by_is_an_error() -> None:
    with pytest.raises(SearchError, match="latency_ms"):
        pick_subnets([evaluation(10, 70), evaluation(20, 80)], 2, ("top1_pct", "latency_ms"))
