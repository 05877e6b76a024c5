"""Which algorithm a recipe means."""

from __future__ import annotations

from collections.abc import Sequence

from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.problem import Problem
from anas_zoo.searching.recipe import SearchRecipe

__all__ = ["make_algorithm"]


def make_algorithm(problem: Problem, recipe: SearchRecipe, *, seed: Sequence[int]) -> Algorithm:
    """The algorithm that ``recipe`` names, on ``problem``."""
    if recipe.algorithm == "random":
        from anas_zoo.searching.random_search import RandomSearch

        return RandomSearch(problem, seed=seed)
    if recipe.algorithm == "evolution":
        from anas_zoo.searching.evolution import Evolution

        return Evolution(problem, recipe.evolution, budget=recipe.evaluations, seed=seed)
    if recipe.algorithm == "nsga2":
        from anas_zoo.searching.nsga2 import Nsga2

        return Nsga2(problem, recipe.nsga2, seed=seed)
    from anas_zoo.searching.surrogate import SurrogateSearch

    return SurrogateSearch(problem, recipe.surrogate, seed=seed)
