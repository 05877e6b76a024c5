"""pymoo's NSGA-II over the codes of a space: the problem and the operators it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem

from anas_zoo.searching.problem import Codes
from anas_zoo.space import SearchSpace, crossover, mutate

__all__ = ["CodesProblem", "evaluated", "make_nsga2"]

Floats = npt.NDArray[np.float64]


class CodesProblem(PymooProblem):  # type: ignore[misc]
    """Codes as pymoo's variables; ``function`` gives (losses (N, M), breach (N,)) of codes (N, genes)."""

    def __init__(
        self, space: SearchSpace, objectives: int, function: Callable[[Codes], tuple[Floats, Floats]]
    ) -> None:
        choices = space.genes.choices
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
        out["F"], breach = self._function(np.asarray(x, dtype=np.int64))
        out["G"] = breach[:, None]


class _GeneCrossover(Crossover):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(n_parents=2, n_offsprings=1, prob=0.9)

    def _do(self, problem: Any, x: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return crossover(x[0], x[1], random_state)[None]


class _GeneMutation(Mutation):  # type: ignore[misc]
    def __init__(self, space: SearchSpace, genes: float) -> None:
        super().__init__()
        elastic = sum(len(choices) > 1 for choices in space.genes.choices)
        self._space, self._probability = space, min(1.0, genes / max(elastic, 1))

    def _do(self, problem: Any, x: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return mutate(self._space, x.astype(np.int64), random_state, probability=self._probability)


class _Different(DuplicateElimination):  # type: ignore[misc]
    """Keeps the first of equal codes; pymoo's own compares all distances."""

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        known = set() if other is None else {row.tobytes() for row in other.get("X")}
        for place, row in enumerate(pop.get("X")):
            key = row.tobytes()
            is_duplicate[place] |= key in known
            if other is None:
                known.add(key)
        return is_duplicate


def evaluated(codes: Codes, losses: Floats) -> Population:
    """A population that needs no evaluation any more; all of it within the limits."""
    population = Population.new("X", codes, "F", losses, "G", np.zeros((len(codes), 1)))
    for one in population:
        one.evaluated = {"F", "G", "H"}
    return population


def make_nsga2(space: SearchSpace, start: Any, *, population: int, mutated_genes: float) -> Any:
    """pymoo's NSGA-II with uniform crossover and redrawn genes; ``start`` are codes or a population."""
    return NSGA2(
        pop_size=population,
        sampling=start,
        crossover=_GeneCrossover(),
        mutation=_GeneMutation(space, mutated_genes),
        eliminate_duplicates=_Different(),
    )
