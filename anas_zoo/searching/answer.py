"""What a search answers: the best under each asked budget, and known models beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anas_zoo.searching.evaluation import Evaluation
from anas_zoo.searching.front import best_within, preference
from anas_zoo.searching.limits import Range
from anas_zoo.searching.objectives import OBJECTIVES

__all__ = ["Answer", "Reference", "answers_of"]


@dataclass(frozen=True)
class Answer:
    """The most accurate evaluation within one asked budget.

    Attributes:
        cost: the objective's name.
        limit: the budget, in its stored unit.
        best: None when nothing evaluated is within it, or may be by its bars.
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
class Reference:
    """A known model, scored in the same way as what was searched.

    Attributes:
        name: the model's.
        evaluation: its costs, and its accuracy by this search's evaluator.
        published: accuracies that others published for it, by whose weights; percent.
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
