"""What a search is about: a space, objectives, limits, costs, and drawing architectures within the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SearchError, nearest
from anas_zoo.core.hints import Call, Option
from anas_zoo.searching.archive import Evaluation
from anas_zoo.searching.front import losses_of, pareto_front
from anas_zoo.searching.objectives import COSTS, OBJECTIVES, CostName, Limits, Range
from anas_zoo.space import SearchSpace, mutate

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Costs = dict[str, Floats]


class Problem:
    """One search problem, the same for every algorithm. Costs are exact or modelled; only top-1 is measured.

    Args:
        objectives: ``"top1_pct"`` and at least one cost.
        limits: which architectures count.
        latency_ms: codes (N, genes) -> predicted latency (N,), where latency is an objective or limited.
        latency_bars: both ends of a predicted latency's bars as factors of it; None where not known.
        by_bars: whether a latency is within its limit as soon as its bars reach there, for a limit that no
            prediction keeps.

    Raises :class:`SearchError` for objectives or limits that say nothing about this space.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        num_classes: int,
        objectives: Sequence[str] = ("top1_pct", "macs"),
        limits: Limits | None = None,
        latency_ms: Callable[[Codes], Floats] | None = None,
        latency_bars: tuple[float, float] | None = None,
        by_bars: bool = False,
    ) -> None:
        self.space, self.num_classes = space, num_classes
        self.objectives = tuple(objectives)
        self.limits = limits or Limits()
        self.latency_ms, self.latency_bars, self.by_bars = latency_ms, latency_bars, by_bars
        self.cost_names: tuple[CostName, ...] = tuple(n for n in COSTS if n != "latency_ms" or latency_ms)
        self._check()

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that are costs, in order."""
        return tuple(name for name in self.objectives if not OBJECTIVES[name].maximise)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The sides of the input that count."""
        return self.limits.resolution or self.space.config.resolution

    def _check(self) -> None:
        for name in self.objectives:
            if name not in OBJECTIVES:
                raise SearchError(
                    f"no objective {name!r}{nearest(name, OBJECTIVES)}; objectives: {', '.join(OBJECTIVES)}"
                )
        if "top1_pct" not in self.objectives or len(set(self.objectives)) < 2:
            raise SearchError(
                f"the objectives are {', '.join(self.objectives) or 'none'}; "
                f"give top1_pct and at least one of {', '.join(COSTS)}"
            )
        if len(set(self.objectives)) != len(self.objectives):
            raise SearchError(f"an objective is given twice: {', '.join(self.objectives)}")
        if self.latency_ms is None and ("latency_ms" in self.objectives or not self.limits.latency_ms.open):
            raise SearchError(
                "latency needs a model of this machine: give ",
                Option("latency", "FILE"),
                "; make one with: ",
                Call("latency fit", space=self.space.name, out="FILE"),
            )
        least = self.limits.top1_pct.min
        if self.limits.top1_pct.max is not None or (least is not None and least > 100):
            raise SearchError("top-1 can have a least value, of at most 100 percent, and no largest one")
        allowed = self.space.config.resolution
        foreign = [side for side in self.resolutions if side not in allowed]
        if foreign:
            raise SearchError(
                f"resolution {', '.join(map(str, foreign))} is not in the space {self.space.name!r}; "
                f"it has: {', '.join(map(str, allowed))}"
            )

    def costs(self, codes: Codes) -> Costs:
        """Every cost of ``codes`` by name, (N,) float64 each; latency only where there is a model of it."""
        space, classes = self.space, self.num_classes
        found: Costs = {
            "macs": space.macs(codes, classes).astype(np.float64),
            "params": space.params(codes, classes).astype(np.float64),
            "size_bytes": space.size_bytes(codes, classes).astype(np.float64),
        }
        if self.latency_ms is not None:
            found["latency_ms"] = np.asarray(self.latency_ms(codes), dtype=np.float64)
        return found

    def breach(self, codes: Codes, costs: Costs | None = None) -> Floats:
        """How far each code is outside the limits of costs and resolution, (N,); 0 inside.

        The sum of the relative distances to each limit; a foreign resolution counts 1.
        """
        costs = self.costs(codes) if costs is None else costs
        total = np.zeros(len(codes))
        for name, limit in self.limits.costs().items():
            least, most = self.reach(name)
            if limit.max is not None:
                total += np.clip(least * costs[name] - limit.max, 0, None) / max(limit.max, 1e-12)
            if limit.min is not None:
                total += np.clip(limit.min - most * costs[name], 0, None) / max(limit.min, 1e-12)
        return total + ~np.isin(codes[:, 0], self.resolutions)

    def reach(self, name: str) -> tuple[float, float]:
        """The factors from where to where a cost may really be, as far as limits are judged by that."""
        bars = self.latency_bars if self.by_bars and name == "latency_ms" else None
        return bars or (1.0, 1.0)

    def accepted(self, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
        """Those within the limit of accuracy too."""
        least = self.limits.top1_pct.min
        return [e for e in evaluations if least is None or e.top1_pct >= least]

    def front(self, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
        """The Pareto front of what is within all limits, from small to large."""
        return pareto_front(self.accepted(evaluations), self.objectives)

    def losses(self, evaluations: Sequence[Evaluation]) -> Floats:
        """The objectives of evaluations as numbers to minimise, (N, objectives)."""
        return losses_of(evaluations, self.objectives)

    def losses_from(self, top1_pct: Floats, costs: Costs) -> Floats:
        """The same of predicted accuracies (N,) and known costs, (N, objectives)."""
        columns = [-top1_pct if name == "top1_pct" else costs[name] for name in self.objectives]
        return np.column_stack(columns)


LISTED = 50_000  # a space up to this size is listed whole, so that nothing in it is ever missed
DRAWS = 4096
BATCHES = 8
PARENTS = 256
GENERATIONS = 60
MUTATION = 0.08
ABSURD = 1000.0  # a limit this many times beyond everything in the space is in another unit
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
