"""Finding architectures within the limits, in bounded time, or saying what is nearest to them."""

from __future__ import annotations

import numpy as np

from anas_zoo.core.errors import SearchError
from anas_zoo.searching.limits import Range
from anas_zoo.searching.objectives import OBJECTIVES
from anas_zoo.searching.problem import Codes, Problem
from anas_zoo.space import mutate

__all__ = ["check_limits", "draw_inside", "keys_of", "take_new"]

LISTED = 50_000  # a space up to this size is listed whole, so that nothing in it is ever missed
DRAWS = 4096
BATCHES = 8
PARENTS = 256
GENERATIONS = 60
MUTATION = 0.08
ABSURD = 1000.0  # a limit so many times beyond everything in the space is in another unit
FACTORS = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)


def keys_of(codes: Codes) -> list[bytes]:
    """A hashable name of each code."""
    return [row.tobytes() for row in np.ascontiguousarray(codes)]


def draw_inside(
    problem: Problem, rng: np.random.Generator, count: int, seen: set[bytes], *, tilted: bool = False
) -> Codes:
    """Up to ``count`` different codes within the limits that are not in ``seen``, (n, genes).

    Uniform over the space, or ``tilted`` towards both ends of the costs. Where draws do not find enough, the
    codes nearest to the limits are mutated towards them. Fewer come back only from a space that is small,
    or of which next to nothing is inside.
    """
    space, known = problem.space, set(seen)
    if space.size <= LISTED:
        codes = space.every_code()
        codes = codes[problem.breach(codes) == 0]
        return take_new(codes[rng.permutation(len(codes))], count, known)
    found = [np.empty((0, space.genes.count), dtype=np.int64)]
    near = found[0]
    for _ in range(BATCHES):
        drawn = space.tilted_codes(rng, DRAWS) if tilted else space.sample_codes(rng, DRAWS)
        drawn[:, 0] = rng.choice(problem.resolutions, size=DRAWS)
        breach = problem.breach(drawn)
        found.append(take_new(drawn[breach == 0], count - sum(map(len, found)), known))
        if sum(map(len, found)) >= count:
            return np.concatenate(found)
        near = np.concatenate([near, drawn])
    for _ in range(GENERATIONS):
        near = _nearest(problem, near)
        children = mutate(space, near[rng.integers(len(near), size=DRAWS)], rng, probability=MUTATION)
        breach = problem.breach(children)
        found.append(take_new(children[breach == 0], count - sum(map(len, found)), known))
        if sum(map(len, found)) >= count:
            break
        near = np.concatenate([near, children])
    return np.concatenate(found)


def take_new(codes: Codes, count: int, known: set[bytes]) -> Codes:
    """The first ``count`` codes that are not ``known``; they are added to it."""
    chosen: list[int] = []
    for place, key in enumerate(keys_of(codes)):
        if len(chosen) >= count:
            break
        if key not in known:
            known.add(key)
            chosen.append(place)
    return codes[chosen]


def _nearest(problem: Problem, codes: Codes) -> Codes:
    order = np.argsort(problem.breach(codes), kind="stable")[:PARENTS]
    return codes[order]


def check_limits(problem: Problem, rng: np.random.Generator) -> None:
    """Raise :class:`SearchError` with the nearest achievable values when nothing is within the limits."""
    limits = problem.limits.costs()
    if not limits:
        return
    space = problem.space
    sample = np.concatenate([space.tilted_codes(rng, DRAWS), space.encode([space.smallest, space.largest])])
    sample[:, 0] = rng.choice(problem.resolutions, size=len(sample))
    sample[-2:, 0] = min(problem.resolutions), max(problem.resolutions)
    reach = {name: (values.min(), values.max()) for name, values in problem.costs(sample).items()}
    for name, limit in limits.items():
        least, most = problem.reach(name)
        _refuse_outside(problem, name, limit, least * reach[name][0], most * reach[name][1])
    if len(draw_inside(problem, rng, 1, set())):
        return
    near = sample
    for _ in range(GENERATIONS):
        near = _nearest(problem, near)
        near = np.concatenate([near, mutate(space, near, rng, probability=MUTATION)])
    costs = problem.costs(_nearest(problem, near)[:1])
    values = ", ".join(f"{OBJECTIVES[n].title} {OBJECTIVES[n].shown(costs[n][0])}" for n in limits)
    raise SearchError(
        f"no architecture of the space {space.name!r} was found with {problem.limits.in_words()}; "
        f"the nearest has {values} at resolution {_nearest(problem, near)[0, 0]}"
    )


def _refuse_outside(problem: Problem, name: str, limit: Range, low: float, high: float) -> None:
    """Refuse a limit that everything, or by far nothing, in the space breaks."""
    objective = OBJECTIVES[name]
    if limit.max is not None and limit.max < low:
        wrong, what = limit.max, "is too little"
    elif limit.min is not None and limit.min > high:
        wrong, what = limit.min, "is too much"
    elif limit.max is not None and limit.max > high * ABSURD:
        wrong, what = limit.max, "limits nothing"
    else:
        return
    other = [wrong * factor for factor in FACTORS if low <= wrong * factor <= high]
    hint = f"; did you mean {objective.shown(other[0])}, or was it in another unit?" if other else ""
    at = f" at resolution {', '.join(map(str, problem.resolutions))}" if problem.limits.resolution else ""
    bars = " by the bars of the latency model" if problem.reach(name) != (1.0, 1.0) else ""
    raise SearchError(
        f"{objective.title} {objective.shown(wrong)} {what}: the space {problem.space.name!r} reaches from "
        f"{objective.shown(low)} to {objective.shown(high)}{bars}{at}{hint}"
    )
