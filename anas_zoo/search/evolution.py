"""The authors' evolution as ask and tell: random start, then mutations and crossovers of the front.

AlphaNet publishes it with 512 random architectures, 20 rounds of 128 mutations (each gene changes with
probability 0.2) and 128 crossovers of members of the current front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.errors import SearchError
from anas_zoo.search.evaluation import Evaluation
from anas_zoo.search.front import pareto_front
from anas_zoo.search.recipe import SearchRecipe
from anas_zoo.space import Architecture, SearchSpace, crossover, mutate

__all__ = ["Evolution"]

Codes = npt.NDArray[np.int64]

BATCH = 256  # architectures drawn and priced at a time
MAX_BATCHES = 200  # bounds the search for new architectures within the range


class Evolution:
    """Proposes architectures and learns from their evaluations; no architecture is proposed twice."""

    def __init__(
        self, space: SearchSpace, recipe: SearchRecipe, rng: np.random.Generator, *, num_classes: int
    ) -> None:
        self._space, self._recipe, self._rng = space, recipe, rng
        self._num_classes = num_classes
        self._told: dict[Architecture, Evaluation] = {}
        self._asked: set[Architecture] = set()
        self._round = 0

    def ask(self) -> list[Architecture]:
        """The architectures to evaluate next; empty when the search is over.

        Raises :class:`SearchError` with the nearest possible values when no architecture is in range.
        """
        recipe = self._recipe
        if self._round == 0:
            # The ends of the space are where a sandwich-trained supernet is best known; the authors start
            # from random architectures alone.
            ends = self._space.encode([self._space.smallest, self._space.largest])
            proposals = self._draw(min(2, recipe.initial), lambda n: ends, batches=1)
            proposals += self._draw(
                recipe.initial - len(proposals), lambda n: self._space.sample_codes(self._rng, n)
            )
            if not proposals:
                self._refuse_range()
        elif self._round <= recipe.rounds:
            parents = self._space.encode([item.arch for item in pareto_front(self._told.values())])
            proposals = self._draw(recipe.mutations, lambda n: self._mutants(parents, n))
            proposals += self._draw(recipe.crossovers, lambda n: self._children(parents, n))
        else:
            return []
        self._round += 1
        # A round without anything new is possible in a nearly exhausted range; the next may differ.
        return proposals if proposals else self.ask()

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Take in the evaluations of what was asked, in any order."""
        self._told |= {item.arch: item for item in evaluations}

    def _parents(self, parents: Codes, count: int) -> Codes:
        return parents[self._rng.integers(len(parents), size=count)]

    def _mutants(self, parents: Codes, count: int) -> Codes:
        chosen = self._parents(parents, count)
        return mutate(self._space, chosen, self._rng, probability=self._recipe.mutation_probability)

    def _children(self, parents: Codes, count: int) -> Codes:
        return crossover(self._parents(parents, count), self._parents(parents, count), self._rng)

    def _draw(
        self, count: int, propose: Callable[[int], Codes], *, batches: int = MAX_BATCHES
    ) -> list[Architecture]:
        """Up to ``count`` new architectures within the range, in bounded time."""
        found: list[Architecture] = []
        for _ in range(batches):
            if len(found) == count:
                break
            codes = propose(BATCH)
            macs = self._space.macs(codes, self._num_classes)
            inside = macs >= self._recipe.min_macs
            if self._recipe.max_macs is not None:
                inside &= macs <= self._recipe.max_macs
            for arch in self._space.decode(codes[inside]):
                if arch not in self._asked and len(found) < count:
                    self._asked.add(arch)
                    found.append(arch)
        return found

    def _refuse_range(self) -> None:
        macs = self._space.macs([self._space.smallest, self._space.largest], self._num_classes) / 1e6
        low = self._recipe.min_macs / 1e6
        high = "∞" if self._recipe.max_macs is None else f"{self._recipe.max_macs / 1e6:g}"
        raise SearchError(
            f"no architecture of the space {self._space.name!r} was found between {low:g} and {high} "
            f"MFLOPs in {BATCH * MAX_BATCHES} draws; the space reaches from {macs[0]:g} to {macs[1]:g}"
        )
