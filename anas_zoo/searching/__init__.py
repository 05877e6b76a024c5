"""Searching for any budget: problems, algorithms, evaluators, the Pareto front, the archive.

Names are imported when they are first used: the command line reads the recipe alone for its help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anas_zoo.searching.algorithm import Algorithm, make_algorithm
    from anas_zoo.searching.archive import Archive, Evaluation, Failure, read_evaluations
    from anas_zoo.searching.evaluator import Evaluator, PredictorEvaluator, Score, SubnetEvaluator
    from anas_zoo.searching.front import best_under, pareto_front, pick_across, pick_by_area, pick_subnets
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
    "pick_across",
    "pick_by_area",
    "pick_subnets",
    "read_evaluations",
    "run_search",
]

_MODULES = {
    "algorithm": ("Algorithm", "make_algorithm"),
    "archive": ("Archive", "Evaluation", "Failure", "read_evaluations"),
    "evaluator": ("Evaluator", "PredictorEvaluator", "Score", "SubnetEvaluator"),
    "front": ("best_under", "pareto_front", "pick_across", "pick_by_area", "pick_subnets"),
    "objectives": ("Limits", "Range"),
    "problem": ("Problem", "check_limits"),
    "recipe": ("SearchRecipe",),
    "runner": ("Budget", "SearchResult", "run_search"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
