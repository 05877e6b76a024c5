"""Searching for any budget: problems, algorithms, evaluators, the Pareto front, the archive."""

from anas_zoo.search.algorithm import Algorithm
from anas_zoo.search.algorithms import make_algorithm
from anas_zoo.search.archive import Archive, read_evaluations, write_front
from anas_zoo.search.evaluation import Evaluation, Failure
from anas_zoo.search.evaluator import Evaluator, PredictorEvaluator, Score, SubnetEvaluator
from anas_zoo.search.feasible import check_limits
from anas_zoo.search.front import best_under, pareto_front, pick_subnets
from anas_zoo.search.limits import Limits, Range
from anas_zoo.search.problem import Problem
from anas_zoo.search.recipe import SearchRecipe
from anas_zoo.search.runner import Budget, SearchResult, run_search

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
