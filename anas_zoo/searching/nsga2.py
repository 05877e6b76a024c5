"""NSGA-II (Deb et al. 2002, doi:10.1109/4235.996017) over the codes of a space, by pymoo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.mating import Mating
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.archive import Evaluation
from anas_zoo.searching.problem import Codes, Problem, keys_of
from anas_zoo.searching.recipe import Nsga2Recipe
from anas_zoo.space import SearchSpace, crossover, mutate

Floats = npt.NDArray[np.float64]
MATINGS = 20  # tried for a round of new offspring


class Nsga2(Algorithm):
    """Survivors by rank and crowding, binary tournaments, uniform crossover, redrawn genes.

    The survivors follow from the evaluations. Each round gives them to a new NSGA-II of pymoo and asks it for
    one generation, so nothing else is kept between rounds.
    """

    def __init__(self, problem: Problem, recipe: Nsga2Recipe, *, seed: Sequence[int]) -> None:
        super().__init__(problem, seed=seed)
        self._recipe = recipe
        self._survivors = Population()
        self._pymoo_problem = CodesProblem(problem.space, len(problem.objectives))

    def _propose(self, rng: np.random.Generator) -> Codes:
        size = self._recipe.population
        if not len(self._survivors):
            return self._start(rng, size, tilted=True)
        algorithm = make_nsga2(
            self.problem.space,
            self._survivors,
            population=size,
            mutated_genes=self._recipe.mutated_genes,
            allowed=self._allowed,
        )
        algorithm.setup(self._pymoo_problem, seed=int(rng.integers(2**31)))
        algorithm.tell(infills=algorithm.ask())  # the survivors
        offspring = algorithm.ask()
        return self._draw(rng, size) if offspring is None else offspring.get("X").astype(np.int64)

    def _allowed(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which codes are within the limits and new, (N,)."""
        new = np.array([key not in self._seen for key in keys_of(codes)], dtype=np.bool_)
        inside: npt.NDArray[np.bool_] = self.problem.breach(codes) == 0
        return new & inside

    def _learn(self, new: list[Evaluation]) -> None:
        if not new:
            return
        problem = self.problem
        least = problem.limits.top1_pct.min or 0.0
        breach = [[max(0.0, least - e.top1_pct)] for e in new]
        codes = problem.space.encode(e.arch for e in new)
        scored = Population.new("X", codes, "F", problem.losses(new), "G", np.array(breach))
        self._survivors = RankAndCrowding().do(
            self._pymoo_problem,
            Population.merge(self._survivors, scored),
            n_survive=self._recipe.population,
            random_state=np.random.default_rng([*self._seed, self.round, 1]),
        )


class CodesProblem(PymooProblem):  # type: ignore[misc]
    """Codes as pymoo's variables.

    Args:
        space: whose codes they are.
        objectives: how many.
        function: codes (N, genes) -> losses (N, objectives) and breach of the limits (N,); None where what is
            asked for is evaluated elsewhere.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: int,
        function: Callable[[Codes], tuple[Floats, Floats]] | None = None,
    ) -> None:
        choices = space.genes.states
        super().__init__(
            n_var=len(choices),
            n_obj=objectives,
            n_ieq_constr=1,
            xl=np.array([values[0] for values in choices]),
            xu=np.array([values[-1] for values in choices]),
            vtype=int,
        )
        self._function = function

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        assert self._function is not None
        out["F"], breach = self._function(np.asarray(x, dtype=np.int64))
        out["G"] = breach[:, None]


class _GeneCrossover(Crossover):  # type: ignore[misc]
    def __init__(self, space: SearchSpace) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=0.9)
        self._space = space

    def _do(self, problem: Any, x: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return crossover(self._space, x[0], x[1], random_state)[None]


class _GeneMutation(Mutation):  # type: ignore[misc]
    def __init__(self, space: SearchSpace, genes: float) -> None:
        super().__init__()
        elastic = sum(len(choices) > 1 for choices in space.genes.choices)
        self._space, self._probability = space, min(1.0, genes / max(elastic, 1))

    def _do(self, problem: Any, x: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return mutate(self._space, x.astype(np.int64), random_state, probability=self._probability)


class _OnlyAllowed(DefaultDuplicateElimination):  # type: ignore[misc]
    """Drops what is not allowed along with what is there twice."""

    def __init__(self, allowed: Callable[[Codes], npt.NDArray[np.bool_]]) -> None:
        super().__init__()
        self._allowed = allowed

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        found = super()._do(pop, other, is_duplicate)
        return found if other is not None else found | ~self._allowed(pop.get("X").astype(np.int64))


def make_nsga2(
    space: SearchSpace,
    start: Any,
    *,
    population: int,
    mutated_genes: float,
    allowed: Callable[[Codes], npt.NDArray[np.bool_]] | None = None,
) -> Any:
    """pymoo's NSGA-II with uniform crossover and redrawn genes, ``mutated_genes`` of an offspring on average.

    ``start`` is the first population: codes, or an evaluated one. ``allowed``: which codes may be offspring.
    """
    mating = Mating(
        TournamentSelection(func_comp=binary_tournament),
        _GeneCrossover(space),
        _GeneMutation(space, mutated_genes),
        eliminate_duplicates=DefaultDuplicateElimination() if allowed is None else _OnlyAllowed(allowed),
        n_max_iterations=MATINGS,
    )
    return NSGA2(pop_size=population, sampling=start, mating=mating)
