"""The authors' evolution: random start, then mutations and crossovers of the best of each cost.

AlphaNet publishes it with 512 random architectures, then 20 rounds of 128 mutations (each gene changes with
probability 0.2) and 128 crossovers of the most accurate architectures of each bin of 10 M multiply-adds
between 200 and 1200 M: 5,632 evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.front import preference
from anas_zoo.searching.problem import Codes, Problem
from anas_zoo.searching.recipe import EvolutionRecipe
from anas_zoo.space import crossover, mutate

BINS = 100  # over the range of the costs: 10 M each from 200 to 1200 M
TRIES = 200
PER_TRY = 256


class Evolution(Algorithm):
    """Random start, then mutants and children of the best of each bin of the first cost.

    With more than one cost, parents are the members of the front. ``budget`` sizes the rounds as the
    authors' 5,632 evaluations do theirs.
    """

    def __init__(
        self, problem: Problem, recipe: EvolutionRecipe, *, budget: int, seed: Sequence[int]
    ) -> None:
        super().__init__(problem, seed=seed)
        self._recipe = recipe
        self._initial, self._mutants, self._children = recipe.sizes(budget)

    def _propose(self, rng: np.random.Generator) -> Codes:
        if self.round == 0:
            return self._start(rng, self._initial)  # the authors start from random architectures alone
        parents = self._parents()
        if not len(parents):
            return self._draw(rng, self._mutants + self._children)
        chance = self._recipe.mutation_probability
        space = self.problem.space

        def mutants(count: int) -> Codes:
            return mutate(space, parents[rng.integers(len(parents), size=count)], rng, probability=chance)

        def children(count: int) -> Codes:
            first, second = (parents[rng.integers(len(parents), size=count)] for _ in range(2))
            return crossover(self.problem.space, first, second, rng)

        found = self._fill(self._mutants, mutants, parents[:0])
        found = np.concatenate([found, self._fill(self._children, children, found)])
        # A nearly exhausted range may have nothing new near its front.
        return found if len(found) else self._draw(rng, self._mutants + self._children)

    def _fill(self, count: int, propose: Callable[[int], Codes], also: Codes) -> Codes:
        found = also
        for _ in range(TRIES):
            left = count - (len(found) - len(also))
            if left == 0:
                break
            found = np.concatenate([found, self._new(propose(PER_TRY), left, also=found)])
        return found[len(also) :]

    def _parents(self) -> Codes:
        problem, items = self.problem, self.problem.accepted(self.evaluations) or self.evaluations
        costs = problem.cost_objectives
        if len(costs) > 1 or not items:
            return problem.space.encode(e.arch for e in problem.front(items) or items)
        limit = problem.limits.costs().get(costs[0])
        values = np.array([e.value(costs[0]) for e in items])
        low = values.min() if limit is None or limit.min is None else limit.min
        high = values.max() if limit is None or limit.max is None else limit.max
        width = max((high - low) / BINS, 1e-12)
        best: dict[int, int] = {}
        order = preference(costs[0])
        for place, value in enumerate(values):
            number = int((value - low) / width)
            if number not in best or order(items[place]) < order(items[best[number]]):
                best[number] = place
        return problem.space.encode(items[place].arch for place in best.values())
