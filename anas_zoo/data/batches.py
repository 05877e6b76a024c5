"""What the training loop reads: batches of a whole step, cut the same way however many processes share it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from anas_zoo.core.errors import DataError


@dataclass(frozen=True)
class Batch:
    """One micro-batch of N ``images``, with labels (N,) int64 on the training device.

    ``view`` gives them at a resolution R, normalised: R -> (N, 3, R, R) float32 on the same device.
    """

    view: Callable[[int], Tensor]
    labels: Tensor
    images: int


@dataclass(frozen=True)
class Share:
    """Which part of every global batch one process trains on, and in how many micro-batches.

    A global batch of ``batch_size`` images is cut into ``processes * accumulation`` equal micro-batches;
    process ``rank`` gets ``accumulation`` neighbours of them. So two processes with one micro-batch each see
    exactly what one process with two sees.
    """

    batch_size: int
    processes: int = 1
    rank: int = 0
    accumulation: int = 1

    def check(self) -> None:
        """Raise :class:`DataError` unless the batch can be cut into equal parts of at least two images."""
        parts = self.processes * self.accumulation
        if self.batch_size % parts or self.batch_size // parts < 2:
            how = f"{self.processes} processes × {self.accumulation} micro-batches"
            near = max(2, round(self.batch_size / parts)) * parts
            raise DataError(
                f"batch_size {self.batch_size} cannot be cut into {how} of at least 2 images each; "
                f"batch_size {near} can"
            )

    def micro_batches(self) -> list[tuple[int, slice]]:
        """(number within the step, rows within the global batch) of this process' micro-batches."""
        size = self.batch_size // (self.processes * self.accumulation)
        first = self.rank * self.accumulation
        return [(i, slice(i * size, (i + 1) * size)) for i in range(first, first + self.accumulation)]


class TrainData(Protocol):
    """Training images, served step by step; everything random follows from the words of a seed."""

    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the images."""
        ...

    def epoch(self, seed: Sequence[int], epoch: int, *, first_step: int = 0) -> Iterator[list[Batch]]:
        """This process' micro-batches of each step of pass ``epoch``, from ``first_step`` on.

        ``seed`` is two words. The order and every augmentation depend on ``seed``, ``epoch`` and the step
        alone, so that a resumed pass gives what an uninterrupted one gives.
        """
        ...

    def skipped(self) -> tuple[str, ...]:
        """The images that could not be read and were left out so far."""
        ...


@dataclass(frozen=True)
class PartOfPasses:
    """``data``, whose passes end after the ``part`` of their steps; as each is shuffled, others come next."""

    data: TrainData
    part: float

    def steps_per_epoch(self) -> int:
        """Optimizer steps of such a pass."""
        return steps_of_part(self.data.steps_per_epoch(), self.part)

    def epoch(self, seed: Sequence[int], epoch: int, *, first_step: int = 0) -> Iterator[list[Batch]]:
        """This process' micro-batches of each step of one pass (see :class:`TrainData`)."""
        steps = self.data.epoch(seed, epoch, first_step=first_step)
        return itertools.islice(steps, max(0, self.steps_per_epoch() - first_step))

    def skipped(self) -> tuple[str, ...]:
        """Why each image that was left out could not be read."""
        return self.data.skipped()


def steps_of_part(steps: int, part: float) -> int:
    """So many of a pass' ``steps``: the ``part`` of them, rounded down, and one at least."""
    return max(1, math.floor(steps * part + 1e-6))


# The third word of a seed tells its uses apart; numpy pads short seeds with zeros, so it is never 0.
ORDER, AUGMENTATION, DROPOUT, SUBNETS, FAIR_ROUND = range(11, 16)


def epoch_order(images: int, seed: Sequence[int], epoch: int) -> Tensor:
    """The order of a pass, a permutation of ``range(images)``: (images,) int64."""
    return torch.randperm(images, generator=seeded(*seed, ORDER, epoch))


def seeded(*words: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator on ``device`` that depends on all ``words``, however close together they are."""
    state = np.random.SeedSequence(list(words)).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 ^ int(state[1]))
