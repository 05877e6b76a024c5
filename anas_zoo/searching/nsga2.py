"""NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017), pymoo's, asked one generation at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.evaluation import Evaluation
from anas_zoo.searching.problem import Codes, Problem
from anas_zoo.searching.recipe import Nsga2Recipe

__all__ = ["Nsga2"]

TRIES = 20


class Nsga2(Algorithm):
    """Survivors by rank and crowding, binary tournaments, uniform crossover, redrawn genes."""

    def __init__(self, problem: Problem, recipe: Nsga2Recipe, *, seed: Sequence[int]) -> None:
        super().__init__(problem, seed=seed)
        self._recipe = recipe
        self._survivors: Any = None

    def _propose(self, rng: np.random.Generator) -> Codes:
        size = self._recipe.population
        if self._survivors is None:
            return self._start(rng, size, tilted=True)
        found = self._survivors.get("X")[:0].astype(np.int64)
        from anas_zoo.searching.pymoo_parts import make_nsga2

        algorithm = make_nsga2(
            self.problem.space, self._survivors, population=size, mutated_genes=self._recipe.mutated_genes
        )
        algorithm.setup(self._pymoo_problem(), seed=int(rng.integers(2**31)), termination=("n_gen", 2**31))
        algorithm.tell(infills=algorithm.ask())  # the survivors, ranked
        for _ in range(TRIES):
            offspring = algorithm.infill()
            if offspring is None:  # mating brought nothing but what it had
                break
            codes = offspring.get("X").astype(np.int64)
            found = np.concatenate([found, self._new(codes, size - len(found), also=found)])
            if len(found) == size:
                break
        return found if len(found) else self._draw(rng, size)

    def _learn(self, new: list[Evaluation]) -> None:
        if not new:
            return
        from pymoo.core.population import Population
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

        from anas_zoo.searching.pymoo_parts import evaluated

        problem = self.problem
        told = evaluated(problem.space.encode(e.arch for e in new), problem.losses(new))
        least = problem.limits.top1_pct.min
        if least is not None:
            told.set("G", np.array([[max(0.0, least - e.top1_pct)] for e in new]))
        merged = told if self._survivors is None else Population.merge(self._survivors, told)
        self._survivors = RankAndCrowding().do(
            self._pymoo_problem(),
            merged,
            n_survive=min(self._recipe.population, len(merged)),
            random_state=np.random.default_rng([*self._seed, self.round, 1]),
        )

    def _pymoo_problem(self) -> Any:
        from anas_zoo.searching.pymoo_parts import CodesProblem

        problem = self.problem

        def unused(codes: Codes) -> Any:
            raise AssertionError("what NSGA-II asks for is evaluated outside")

        return CodesProblem(problem.space, len(problem.objectives), unused)
