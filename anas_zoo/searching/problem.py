"""What a search is about: a space, the objectives, the limits, and what an architecture costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SearchError, nearest
from anas_zoo.core.text import quoted
from anas_zoo.searching.evaluation import Evaluation
from anas_zoo.searching.front import losses_of, pareto_front
from anas_zoo.searching.limits import Limits
from anas_zoo.searching.objectives import COSTS, OBJECTIVES, CostName
from anas_zoo.space import SearchSpace

__all__ = ["Codes", "Costs", "Problem"]

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Costs = dict[str, Floats]


class Problem:
    """One search problem, the same for every algorithm. Costs are exact or modelled; only top-1 is measured.

    Args:
        space: whose architectures are searched.
        num_classes: of the classifier, which costs something too.
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
        self.cost_names: tuple[CostName, ...] = tuple(name for name in COSTS if self._has(name))
        self._check()

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that are costs, in order."""
        return tuple(name for name in self.objectives if not OBJECTIVES[name].maximise)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The sides of the input that count."""
        return self.limits.resolution or self.space.config.resolution

    def _has(self, name: str) -> bool:
        return name != "latency_ms" or self.latency_ms is not None

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
                "latency needs a model of this machine: give --latency FILE; make one with: "
                f"anas latency fit --space {quoted(self.space.name)} --out FILE"
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
