"""Stage: a trained supernet, or a predictor alone -> evaluations, the front, the best under budgets."""

from anas_zoo.pipeline.searching.stage import (
    evaluated_on,
    make_evaluator,
    make_problem,
    search_stage,
    search_with_predictor,
)
from anas_zoo.pipeline.searching.task import SearchOutcome

__all__ = [
    "SearchOutcome",
    "evaluated_on",
    "make_evaluator",
    "make_problem",
    "search_stage",
    "search_with_predictor",
]
