"""Searching for any budget: problems, algorithms, evaluators, the Pareto front, the archive."""

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
