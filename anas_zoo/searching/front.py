"""Pareto fronts over any objectives, the best within budgets, and the choice of a few subnets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SearchError
from anas_zoo.searching.archive import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES, Range

DEFAULT_OBJECTIVES = ("top1_pct", "macs")


def losses_of(evaluations: Iterable[Evaluation], objectives: Sequence[str]) -> npt.NDArray[np.float64]:
    """The objectives as numbers to minimise, (N, objectives) float64."""
    signs = [-1.0 if OBJECTIVES[name].maximise else 1.0 for name in objectives]
    rows = [[sign * e.value(name) for sign, name in zip(signs, objectives, strict=True)] for e in evaluations]
    return np.array(rows, dtype=np.float64).reshape(-1, len(objectives))


def nondominated(losses: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Rows of (N, objectives) that no other row beats, ascending; of equal rows the first."""
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    if not len(losses):
        return np.empty(0, dtype=np.intp)
    rows, first = np.unique(losses, axis=0, return_index=True)
    if losses.shape[1] == 2:  # sorted by the first: the second must fall
        before = np.minimum.accumulate(np.append(np.inf, rows[:-1, 1]))
        return np.sort(first[rows[:, 1] < before])
    kept = NonDominatedSorting().do(rows, only_non_dominated_front=True)
    return np.sort(first[kept])


def pareto_front(
    evaluations: Iterable[Evaluation], objectives: Sequence[str] = DEFAULT_OBJECTIVES
) -> list[Evaluation]:
    """Those that nothing beats: no other is as good in every objective, and better in one.

    From small to large in the first cost; of several that are equal in all objectives the one that
    :func:`preference` puts first stays, so the front does not depend on the order of the evaluations.
    """
    cost = first_cost(objectives)
    items = sorted(evaluations, key=preference(cost))
    front = [items[place] for place in nondominated(losses_of(items, objectives))]
    return sorted(front, key=lambda e: (e.value(cost), preference(cost)(e)))


def hypervolume_pct(losses: npt.NDArray[np.float64], among: npt.NDArray[np.float64]) -> float:
    """How much of the box around ``among`` (N, objectives) is worse than some of ``losses``, in percent."""
    from moocore import hypervolume

    low, width = among.min(axis=0), np.ptp(among, axis=0)
    width[width == 0] = 1.0
    return 100.0 * float(hypervolume((losses - low) / width, ref=np.ones(among.shape[1])))


def first_cost(objectives: Sequence[str]) -> str:
    """The first cost among ``objectives``, by which a front goes from small to large."""
    return next((name for name in objectives if not OBJECTIVES[name].maximise), "macs")


def preference(cost: str) -> Callable[[Evaluation], tuple[float, float, str]]:
    """A key that sorts the best first: the most accurate, then the cheapest, then the smallest id."""
    return lambda e: (-e.top1_pct, e.value(cost), e.arch.id)


def best_within(evaluations: Iterable[Evaluation], cost: str, limit: float) -> Evaluation | None:
    """The first by :func:`preference` of those whose ``cost`` is at most ``limit``; None without any."""
    inside = [item for item in evaluations if item.value(cost) <= limit]
    return min(inside, key=preference(cost), default=None)


def best_under(evaluations: Iterable[Evaluation], max_macs: int) -> Evaluation:
    """:func:`best_within` ``max_macs`` multiply-adds. Raises :class:`SearchError` when nothing is."""
    items = list(evaluations)
    best = best_within(items, "macs", max_macs)
    if best is None:
        least = min((item.macs for item in items), default=0)
        raise SearchError(
            f"nothing evaluated is within {max_macs / 1e6:g} MFLOPs; the cheapest has {least / 1e6:g}"
        )
    return best


def pick_subnets(
    evaluations: Sequence[Evaluation], count: int, objectives: Sequence[str] = DEFAULT_OBJECTIVES
) -> list[Evaluation]:
    """``count`` subnets from small to large, spread over the front evenly in the log of its first cost.

    The two ends of the front are always among them. Where a front has fewer points than asked for (on
    easy data a cheap subnet may already be the best), the next fronts, of what remains without it, fill up.
    Raises :class:`SearchError` when fewer than ``count`` were evaluated, or some lack an objective.
    """
    if len(evaluations) < count:
        raise SearchError(f"{count} subnets are wanted, only {len(evaluations)} were evaluated")
    pool: list[Evaluation] = []
    rest = list(evaluations)
    while len(pool) < count:
        front = pareto_front(rest, objectives)
        if not front:
            raise SearchError(f"the evaluations do not say {' and '.join(objectives)} of every subnet")
        pool += front
        kept = {item.arch for item in pool}
        rest = [item for item in rest if item.arch not in kept]
    name = first_cost(objectives)
    pool.sort(key=lambda e: (e.value(name), e.arch.id))
    cost = np.log([item.value(name) for item in pool])
    chosen: list[int] = []
    for target in np.linspace(cost[0], cost[-1], count):
        free = [i for i in range(len(pool)) if i not in chosen]
        chosen.append(min(free, key=lambda i: abs(cost[i] - target)))
    return [pool[i] for i in sorted(chosen)]


def pick_across(
    evaluations: Sequence[Evaluation], count: int, objectives: Sequence[str] = DEFAULT_OBJECTIVES
) -> list[Evaluation]:
    """The best ``count`` subnets from small to large, one for each part of all costs that were evaluated.

    The parts are equal in the log of the first cost, so there are large ones too where the front is short: a
    supernet that was trained for a moment tells the best of equally large subnets, but not yet how much more
    a larger one can learn. Raises as :func:`pick_subnets`.
    """
    if len(evaluations) < count:
        raise SearchError(f"{count} subnets are wanted, only {len(evaluations)} were evaluated")
    name = first_cost(objectives)
    items = sorted(evaluations, key=preference(name))
    cost = np.log([item.value(name) for item in items])
    if not np.isfinite(cost).all():
        raise SearchError(f"the evaluations do not say {name} of every subnet")
    targets = np.linspace(cost.min(), cost.max(), count)
    reach = (targets[1] - targets[0]) / 2 if count > 1 else np.inf
    chosen: list[int] = []
    for target in targets:
        free = [place for place in range(len(items)) if place not in chosen]
        near = [place for place in free if abs(cost[place] - target) <= reach]
        chosen.append(near[0] if near else min(free, key=lambda place: abs(cost[place] - target)))
    return sorted((items[place] for place in chosen), key=lambda e: (e.value(name), e.arch.id))


def pick_by_area(
    front: Sequence[Evaluation], count: int, objectives: Sequence[str] = DEFAULT_OBJECTIVES
) -> list[Evaluation]:
    """The ``count`` subnets of ``front``, from small to large, under whose steps lies the largest area.

    The area is that of the best accuracy within a budget, as far as it is above the lowest of ``front``, over
    the log of the first cost, up to twice the dearest: so few go to where the front is flat, and more to
    where it is steep. All of it where it has no more than ``count``.
    """
    if len(front) <= count:
        return list(front)
    name = first_cost(objectives)
    items = sorted(front, key=lambda e: (e.value(name), e.arch.id))
    cost = np.log([item.value(name) for item in items] + [2 * items[-1].value(name)])
    gain = np.array([item.top1_pct for item in items]) - min(item.top1_pct for item in items)
    # Of each item as the last one so far: the largest area before its cost, and the items of it.
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, (place,)) for place in range(len(items))]
    for _ in range(count - 1):
        best = [
            max(
                (
                    (area + gain[before] * (cost[place] - cost[before]), (*kept, place))
                    for before, (area, kept) in enumerate(best[:place])
                ),
                default=(-np.inf, (place,)),
            )
            for place in range(len(items))
        ]
    ends = [(area + gain[i] * (cost[-1] - cost[i]), kept) for i, (area, kept) in enumerate(best)]
    return [items[place] for place in max(ends)[1]]


@dataclass(frozen=True)
class Answer:
    """The most accurate evaluation within one asked budget, in the stored unit of its cost.

    ``best`` is None when nothing evaluated is within it, or may be by its bars.
    """

    cost: str
    limit: float
    best: Evaluation | None

    def asked(self) -> str:
        """The budget in words, such as ``"MFLOPs (multiply-adds) at most 300"``."""
        return Range(max=self.limit).in_words(self.cost)

    @property
    def unsure(self) -> bool:
        """Whether the limit lies within the bars of the best one's cost, so that only measuring tells."""
        if self.best is None:
            return False
        low, high = self.best.bar(self.cost)
        return low <= self.limit < high

    def to_dict(self) -> dict[str, Any]:
        """For ``front.json``."""
        best = None if self.best is None else self.best.to_dict()
        unsure = {"limit_within_bars": True} if self.unsure else {}
        return {"cost": self.cost, "limit": self.limit, "best": best} | unsure


@dataclass(frozen=True)
class Baseline:
    """A published model, scored in the same way as what was searched.

    ``published`` are accuracies that others published for it, by whose weights; percent.
    """

    name: str
    evaluation: Evaluation
    published: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For ``front.json``."""
        return {
            "name": self.name,
            "evaluation": self.evaluation.to_dict(),
            "published_top1_pct": self.published,
        }


def answers_of(evaluations: Sequence[Evaluation], budgets: Sequence[tuple[str, float]]) -> list[Answer]:
    """The best within each (cost, limit), by :func:`anas_zoo.searching.front.preference`.

    Where nothing is within it by its value, what may be by its bars counts.
    """
    found = []
    for cost, limit in budgets:
        if cost not in OBJECTIVES:
            raise ValueError(f"no cost {cost!r}")
        best = best_within(evaluations, cost, limit)
        if best is None:
            reaching = [e for e in evaluations if e.bar(cost)[0] <= limit]
            best = min(reaching, key=preference(cost), default=None)
        found.append(Answer(cost, limit, best))
    return found
