"""What a strategy of sampling is: given where a training is, the subnets of the next step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anas_zoo.data.batches import SUBNETS
from anas_zoo.space import Architecture, SearchSpace

Kind = Literal["largest", "sampled", "smallest"]
Quality = Callable[[Sequence[Architecture]], Sequence[float]]  # higher is better


@dataclass(frozen=True)
class Draw:
    """One subnet to train. The ``largest`` learns from the labels and teaches the others of its step."""

    arch: Architecture
    kind: Kind


@dataclass(frozen=True)
class Moment:
    """Where in a training a step is; with the seed it decides everything random about the step.

    ``seed`` is the training's, and how often it was rolled back; ``step`` counts those done before, of
    ``total``.
    """

    seed: tuple[int, int]
    step: int
    total: int

    def rng(self, *words: int) -> np.random.Generator:
        """A generator for this step; ``words`` tell its uses apart."""
        return np.random.default_rng([*self.seed, SUBNETS, self.step, *words])


class Sampler(ABC):
    """A strategy. What it keeps from step to step is its state, so a training resumes anywhere.

    Those that keep nothing inherit the state here.
    """

    @abstractmethod
    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The subnets to train in this step, in order; ``quality`` is used by attentive sampling only."""

    def learn(  # noqa: B027 # most do not
        self, draws: Sequence[Draw], losses: Sequence[float], gradient_norm: float
    ) -> None:
        """Take in the losses of a step's ``draws`` and its gradient's norm, the same in every process."""

    def state(self) -> dict[str, Any]:
        """What it keeps, as plain data that is stored with the training; empty where there is nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        assert not state, "this strategy keeps nothing"


def between_ends(subnets: int) -> int:
    """How many of a step's subnets a strategy chooses: all but the two ends, of one subnet that one."""
    return 1 if subnets == 1 else subnets - 2


def in_sandwich(space: SearchSpace, archs: Iterable[Architecture], subnets: int) -> list[Draw]:
    """The largest first, then ``archs``, the smallest last (BigNAS, arXiv:2003.11142).

    With one of ``subnets`` a step there is no sandwich: ``archs`` alone.
    """
    chosen = [Draw(arch, "sampled") for arch in archs]
    if subnets == 1:
        return chosen
    return [Draw(space.largest, "largest"), *chosen, Draw(space.smallest, "smallest")]
