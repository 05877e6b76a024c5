"""Pareto fronts over (multiply-adds, top-1), and the choice of a few subnets from one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from anas_zoo.errors import SearchError
from anas_zoo.search.evaluation import Evaluation

__all__ = ["best_under", "pareto_front", "pick_subnets"]


def pareto_front(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Those that nothing beats: no other is at most as costly and at least as accurate, and better in one.

    From small to large; of several with equal cost and accuracy the smallest id stays, so the front does
    not depend on the order of the evaluations.
    """
    front: list[Evaluation] = []
    for item in sorted(evaluations, key=lambda e: (e.macs, -e.top1_pct, e.arch.id)):
        if not front or item.top1_pct > front[-1].top1_pct:
            front.append(item)
    return front


def best_under(evaluations: Iterable[Evaluation], max_macs: int) -> Evaluation:
    """The most accurate within ``max_macs``; of equals the cheapest. Raises :class:`SearchError`."""
    items = list(evaluations)
    inside = [item for item in items if item.macs <= max_macs]
    if not inside:
        least = min((item.macs for item in items), default=0)
        raise SearchError(
            f"nothing evaluated is within {max_macs / 1e6:g} MFLOPs; the cheapest has {least / 1e6:g}"
        )
    return max(inside, key=lambda e: (e.top1_pct, -e.macs, e.arch.id))


def pick_subnets(evaluations: Sequence[Evaluation], count: int) -> list[Evaluation]:
    """``count`` subnets from small to large, spread over the front evenly in log multiply-adds.

    The two ends of the front are always among them. Where a front has fewer points than asked for (on
    easy data a cheap subnet may already be the best), the next fronts, of what remains without it, fill up.
    Raises :class:`SearchError` when fewer architectures than ``count`` were evaluated.
    """
    if len(evaluations) < count:
        raise SearchError(f"{count} subnets are wanted, only {len(evaluations)} were evaluated")
    pool: list[Evaluation] = []
    rest = list(evaluations)
    while len(pool) < count:
        front = pareto_front(rest)
        pool += front
        kept = {item.arch for item in pool}
        rest = [item for item in rest if item.arch not in kept]
    pool.sort(key=lambda e: (e.macs, e.arch.id))
    cost = np.log([float(item.macs) for item in pool])
    chosen: list[int] = []
    for target in np.linspace(cost[0], cost[-1], count):
        free = [i for i in range(len(pool)) if i not in chosen]
        chosen.append(min(free, key=lambda i: abs(cost[i] - target)))
    return [pool[i] for i in sorted(chosen)]
