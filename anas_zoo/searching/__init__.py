"""Searching for any budget: problems, algorithms, evaluators, the Pareto front, the archive.

Names are imported when they are first used: the command line reads the recipe alone for its help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anas_zoo.searching.algorithm import Algorithm, make_algorithm
    from anas_zoo.searching.archive import Archive, Evaluation, Failure, read_evaluations, write_front
    from anas_zoo.searching.evaluator import Evaluator, PredictorEvaluator, Score, SubnetEvaluator
    from anas_zoo.searching.front import best_under, pareto_front, pick_subnets
    from anas_zoo.searching.objectives import Limits, Range
    from anas_zoo.searching.problem import Problem, check_limits
    from anas_zoo.searching.recipe import SearchRecipe
    from anas_zoo.searching.runner import Budget, SearchResult, run_search

__all__ = [
    "Algorithm",
    "Archive",
    "Budget",
    "Evaluation",
    "Evaluator",
    "Failure",
    "Limits",
    "PredictorEvaluator",
    "Problem",
    "Range",
    "Score",
    "SearchRecipe",
    "SearchResult",
    "SubnetEvaluator",
    "best_under",
    "check_limits",
    "make_algorithm",
    "pareto_front",
    "pick_subnets",
    "read_evaluations",
    "run_search",
    "write_front",
]

_HOME = {
    "Algorithm": "algorithm",
    "Archive": "archive",
    "Budget": "runner",
    "Evaluation": "archive",
    "Evaluator": "evaluator",
    "Failure": "archive",
    "Limits": "objectives",
    "PredictorEvaluator": "evaluator",
    "Problem": "problem",
    "Range": "objectives",
    "Score": "evaluator",
    "SearchRecipe": "recipe",
    "SearchResult": "runner",
    "SubnetEvaluator": "evaluator",
    "best_under": "front",
    "check_limits": "problem",
    "make_algorithm": "algorithm",
    "pareto_front": "front",
    "pick_subnets": "front",
    "read_evaluations": "archive",
    "run_search": "runner",
    "write_front": "archive",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value
