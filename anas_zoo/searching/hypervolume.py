"""Hypervolume: what a front is worth, and which few candidates would add the most to it."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

__all__ = ["choose_batch", "hypervolume"]

Floats = npt.NDArray[np.float64]


def hypervolume(losses: Floats, reference: Floats) -> float:
    """The volume that losses (N, M) dominate up to the point ``reference`` (M,) (Zitzler and Thiele 1999)."""
    from moocore import hypervolume as exact

    inside = losses[(losses < reference).all(axis=1)]
    return float(exact(inside, ref=reference)) if len(inside) else 0.0


def choose_batch(front: Floats, candidates: Floats, reference: Floats, count: int) -> list[int]:
    """Up to ``count`` rows of ``candidates`` that one after the other add the most hypervolume to ``front``.

    Greedy, with gains kept until they may have changed: what a candidate adds can only shrink as others join.
    Rows that add nothing are never chosen.
    """
    taken = front
    volume = hypervolume(taken, reference)

    def gain(place: int) -> float:
        return hypervolume(np.vstack([taken, candidates[place]]), reference) - volume

    heap = [(-gain(place), place) for place in range(len(candidates))]
    heapq.heapify(heap)
    chosen: list[int] = []
    fresh = set(range(len(candidates)))
    while heap and len(chosen) < count:
        negative, place = heapq.heappop(heap)
        if -negative <= 1e-15:
            break
        if place in fresh:
            chosen.append(place)
            taken = np.vstack([taken, candidates[place]])
            volume, fresh = hypervolume(taken, reference), set()
        else:
            fresh.add(place)
            heapq.heappush(heap, (-gain(place), place))
    return chosen
