"""Which subnets a training step spends its time on: what all strategies share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from anas_zoo.data.batches import SUBNETS
from anas_zoo.space import Architecture

__all__ = ["Draw", "Kind", "Moment", "Quality", "Sampler"]

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

    Attributes:
        seed: the training's seed, and how often it was rolled back.
        step: steps done before this one.
        total: steps of the whole training.
    """

    seed: tuple[int, int]
    step: int
    total: int

    def rng(self, *words: int) -> np.random.Generator:
        """A generator for this step; ``words`` tell its uses apart."""
        return np.random.default_rng([*self.seed, SUBNETS, self.step, *words])


class Sampler(Protocol):
    """A strategy. It keeps nothing from step to step but counters, so a training resumes anywhere."""

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The subnets to train in this step, in order; ``quality`` is asked only by those who attend."""
        ...

    def counters(self) -> dict[str, int]:
        """Counts since the training began, to be stored with it; empty where nothing is counted."""
        ...

    def restore(self, counters: dict[str, int]) -> None:
        """Continue the counts that :meth:`counters` gave."""
        ...


class Countless:
    """What a sampler that counts nothing says about its counters."""

    def counters(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def restore(self, counters: dict[str, int]) -> None:
        """Nothing to continue."""
