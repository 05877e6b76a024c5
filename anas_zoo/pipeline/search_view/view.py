"""What is shown of a search, by the picture and by the page alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from anas_zoo.core.hints import Call
from anas_zoo.searching import Evaluation, pareto_front
from anas_zoo.searching.front import Answer, Baseline
from anas_zoo.searching.objectives import COSTS, OBJECTIVES

EVALUATED, FRONT, BUDGET, BASELINE, TESTED = "#9db4c8", "#1f5a8c", "#3a7d44", "#7d4a9c", "#c8492b"

LOG_FROM = 3.0  # a cost that spans more than this factor is shown on a log scale
IN_SIGHT = 1.5  # a budget is drawn up to this factor outside of what was evaluated
PREFIX = "attentive_nas_"


@dataclass(frozen=True)
class SearchView:
    """A search, its answers and what it is compared with.

    Attributes:
        title: of the picture and of the page.
        objectives: names of :data:`OBJECTIVES`: ``"top1_pct"`` and one or more costs.
        evaluations: all of them.
        front: those of them that nothing beats.
        failures: how many architectures could not be scored.
        answers: the best under each asked budget.
        baselines: published models, scored like the evaluations.
        scored_by: on what the accuracies were measured, such as ``"search split, 359 images"``.
        tested: published entries: name -> (costs by objective name, in their stored unit, and ``images``, how
            many it was tested on, where that is known; top-1 on the test split).
        compared: networks of others, tested likewise.
        about: facts for the page: algorithm, seed, limits, space and so on.
        extract: what extracts the architecture of an id.
    """

    title: str
    objectives: tuple[str, ...]
    evaluations: Sequence[Evaluation]
    front: Sequence[Evaluation]
    scored_by: str
    failures: int = 0
    answers: Sequence[Answer] = ()
    baselines: Sequence[Baseline] = ()
    tested: Mapping[str, tuple[Mapping[str, float], float]] = field(default_factory=dict)
    compared: Mapping[str, tuple[Mapping[str, float], float]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    extract: Callable[[str], Call] | None = None

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The costs that the search weighed, in order."""
        return tuple(name for name in self.objectives if not OBJECTIVES[name].maximise)

    @property
    def asked_costs(self) -> tuple[str, ...]:
        """Those, then the other costs that a budget was asked for."""
        return tuple(dict.fromkeys([*self.cost_objectives, *(answer.cost for answer in self.answers)]))

    @cached_property
    def known_costs(self) -> tuple[str, ...]:
        """Those, then the other costs that something has a value of."""
        rest = [name for name in COSTS if any(is_known(e, name) for e in self._scored())]
        return tuple(dict.fromkeys([*self.asked_costs, *rest]))

    def known(self, cost: str, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        """Those of ``evaluations`` that have a value of ``cost``."""
        return [e for e in evaluations if is_known(e, cost)]

    def steps(self, cost: str) -> list[Evaluation]:
        """The front seen over one cost, from small to large; empty where the search did not weigh it.

        With several costs some of the front are beaten in this one alone, and are left out.
        """
        if cost not in self.cost_objectives:
            return []
        return pareto_front(self.known(cost, self.front), ("top1_pct", cost))

    def budgets_in_sight(self, cost: str) -> list[Answer]:
        """The answers to budgets in ``cost`` that are near to what was evaluated.

        A budget far away would squeeze everything else to a corner.
        """
        asked = [answer for answer in self.answers if answer.cost == cost]
        per, values = OBJECTIVES[cost].per_shown, self._values(cost)
        if not values:
            return asked
        low, high = min(values) / IN_SIGHT, max(values) * IN_SIGHT
        return [answer for answer in asked if low <= answer.limit / per <= high]

    def costs_shown(self, cost: str) -> list[float]:
        """Every value of ``cost`` that is to be seen, in the unit that is shown."""
        per = OBJECTIVES[cost].per_shown
        return self._values(cost) + [answer.limit / per for answer in self.budgets_in_sight(cost)]

    def top1_range(self) -> tuple[float, float]:
        """From where to where accuracies are shown, in percent.

        The few subnets that a search abandoned at once would squeeze everything else to a line: of the
        evaluations the worst twentieth does not count.
        """
        ordered = sorted(e.top1_pct for e in self.evaluations)
        seen = ordered[len(ordered) // 20 :]
        seen += [baseline.evaluation.top1_pct for baseline in self.baselines]
        seen += [answer.best.top1_pct for answer in self.answers if answer.best is not None]
        seen += [top1_pct for _, top1_pct in [*self.tested.values(), *self.compared.values()]]
        if not seen:
            return 0.0, 100.0
        margin = max(0.5, 0.06 * (max(seen) - min(seen)))
        # From 0 to 100 % is all there is, but a foreign predictor may not know that.
        low = min(seen) - margin if min(seen) < 0 else max(-0.5, min(seen) - margin)
        return low, max(seen) + margin if max(seen) > 100 else min(100.5, max(seen) + margin)

    def _values(self, cost: str) -> list[float]:
        per = OBJECTIVES[cost].per_shown
        known = [
            costs[cost] / per
            for costs, _ in [*self.tested.values(), *self.compared.values()]
            if cost in costs
        ]
        return known + [value for e in self._scored() if (value := shown(e, cost)) is not None]

    def _scored(self) -> Iterable[Evaluation]:
        yield from self.evaluations
        yield from (baseline.evaluation for baseline in self.baselines)


def is_known(evaluation: Evaluation, cost: str) -> bool:
    """Whether the evaluation has a value of ``cost``; old ones have no size, most no latency."""
    value = evaluation.value(cost)
    return math.isfinite(value) and value > 0


def shown(evaluation: Evaluation, cost: str) -> float | None:
    """A cost in the unit of its objective's title; None where it is not known."""
    return evaluation.value(cost) / OBJECTIVES[cost].per_shown if is_known(evaluation, cost) else None


def wants_log(values: Sequence[float]) -> bool:
    """Whether positive values span so much that a log scale shows them better."""
    return bool(values) and min(values) > 0 and max(values) > LOG_FROM * min(values)


def short_name(name: str) -> str:
    """``"a0"`` for ``"attentive_nas_a0"``: what fits beside a point."""
    return name.removeprefix(PREFIX) or name
