"""The ask-and-tell core of every search algorithm, and which algorithm a recipe means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from anas_zoo.searching.archive import Evaluation, Record
from anas_zoo.searching.problem import Codes, Problem, draw_inside, keys_of, take_new
from anas_zoo.searching.recipe import SearchRecipe
from anas_zoo.space import Architecture

RANDOM_BATCH = 32


class Algorithm(ABC):
    """Proposes architectures round by round and learns from the results.

    What :meth:`ask` proposes is a function of the seed and of the rounds given to :meth:`tell` before, and
    of nothing else: each round draws from a generator of its own. So a search resumes from its archive
    exactly as if it had never stopped. Nothing is proposed twice, nothing outside the limits.
    ``evaluations`` holds what was told, without failures, in order.
    """

    def __init__(self, problem: Problem, *, seed: Sequence[int]) -> None:
        self.problem = problem
        self.round = 0
        self.evaluations: list[Evaluation] = []
        self._seed = tuple(seed)
        self._seen: set[bytes] = set()

    def ask(self) -> list[Architecture]:
        """The architectures to evaluate next; empty when nothing new is left within the limits."""
        rng = np.random.default_rng([*self._seed, self.round])
        return self.problem.space.decode(self._propose(rng))

    def tell(self, records: Sequence[Record]) -> None:
        """Take in a whole round: the evaluations and failures of what was asked, in any order."""
        self._seen |= set(keys_of(self.problem.space.encode(record.arch for record in records)))
        # By id, so that nothing depends on the order in which processes finish.
        new = sorted((r for r in records if isinstance(r, Evaluation)), key=lambda e: e.arch.id)
        self.evaluations += new
        self._learn(new)
        self.round += 1

    @abstractmethod
    def _propose(self, rng: np.random.Generator) -> Codes:
        """New codes within the limits, (n, genes)."""

    def _learn(self, new: list[Evaluation]) -> None:  # noqa: B027 # not every algorithm keeps more
        """Take in the evaluations of a round; ``evaluations`` holds them already."""

    def _draw(self, rng: np.random.Generator, count: int, *, tilted: bool = False) -> Codes:
        return draw_inside(self.problem, rng, count, self._seen, tilted=tilted)

    def _start(self, rng: np.random.Generator, count: int, *, tilted: bool = False) -> Codes:
        """Draws, and first of all the ends of the space: a sandwich-trained supernet is best known there."""
        space = self.problem.space
        ends = self._new(space.encode([space.smallest, space.largest]), count)
        drawn = self._draw(rng, count, tilted=tilted)
        return np.concatenate([ends, self._new(drawn, count - len(ends), also=ends)])

    def _new(self, codes: Codes, count: int, also: Codes | None = None) -> Codes:
        """The first ``count`` of ``codes`` that are within the limits and new, ``also`` not being new."""
        inside = codes[self.problem.breach(codes) == 0] if len(codes) else codes
        known = self._seen | (set() if also is None else set(keys_of(also)))
        return take_new(inside, count, known)


class RandomSearch(Algorithm):
    """Every elastic dimension uniform and independent, redrawn until the limits are kept.

    What every other algorithm has to beat.
    """

    def _propose(self, rng: np.random.Generator) -> Codes:
        return self._draw(rng, RANDOM_BATCH)


def make_algorithm(problem: Problem, recipe: SearchRecipe, *, seed: Sequence[int]) -> Algorithm:
    """The algorithm that ``recipe`` names, on ``problem``."""
    # pymoo and scikit-learn take seconds to import: only what is asked for.
    if recipe.algorithm == "random":
        return RandomSearch(problem, seed=seed)
    if recipe.algorithm == "evolution":
        from anas_zoo.searching.evolution import Evolution

        return Evolution(problem, recipe.evolution, budget=recipe.evaluations, seed=seed)
    if recipe.algorithm == "nsga2":
        from anas_zoo.searching.nsga2 import Nsga2

        return Nsga2(problem, recipe.nsga2, seed=seed)
    from anas_zoo.searching.surrogate import SurrogateSearch

    return SurrogateSearch(problem, recipe.surrogate, seed=seed)
