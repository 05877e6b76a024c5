"""The ask-and-tell core of every search algorithm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from anas_zoo.searching.evaluation import Evaluation, Record
from anas_zoo.searching.feasible import draw_inside, keys_of, take_new
from anas_zoo.searching.problem import Codes, Problem
from anas_zoo.space import Architecture

__all__ = ["Algorithm"]


class Algorithm(ABC):
    """Proposes architectures round by round and learns from what is told of them.

    What :meth:`ask` proposes is a function of the seed and of what was told before, and of nothing else:
    each round draws from a generator of its own. So a search goes on from its archive exactly as if it had
    never stopped. Nothing is proposed twice, nothing outside the limits.

    Attributes:
        problem: what is searched.
        round: rounds told so far.
        evaluations: what was told, without failures, in order.
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
        # By id, so that nothing depends on the order in which processes came to their ends.
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
