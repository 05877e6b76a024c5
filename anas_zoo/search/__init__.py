"""Searching a trained supernet: evaluations, algorithms, the Pareto front, the archive."""

from anas_zoo.search.archive import Archive, write_front
from anas_zoo.search.evaluation import Evaluation
from anas_zoo.search.evaluator import SubnetEvaluator
from anas_zoo.search.evolution import Evolution
from anas_zoo.search.front import best_under, pareto_front, pick_subnets
from anas_zoo.search.recipe import SearchRecipe
from anas_zoo.search.runner import run_search

__all__ = [
    "Archive",
    "Evaluation",
    "Evolution",
    "SearchRecipe",
    "SubnetEvaluator",
    "best_under",
    "pareto_front",
    "pick_subnets",
    "run_search",
    "write_front",
]
