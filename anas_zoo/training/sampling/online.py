"""What subnets are worth, learned while a supernet trains, from the losses that its steps compute anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.space import Architecture, SearchSpace

Floats = npt.NDArray[np.float64]

RATE = 0.05  # of the way to each loss; every choice is seen in many steps, and all losses drift
DRIFT = 0.02  # of the way of the mean to each step's


class OnlineLoss:
    """A linear model of a subnet's loss by its choices, moved by every loss that a step has computed.

    It has one weight for each choice of each gene and learns by normalised least mean squares (Widrow and
    Hoff, 1960; Haykin, Adaptive Filter Theory, chapter 6) how much a subnet's loss departs from the mean of
    the last steps, which falls as the supernet learns. It costs no pass through the supernet, where trials of
    candidates cost one each (AttentiveNAS, section 4.3).
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        sizes = [len(states) for states in space.genes.states]
        self._first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._weights: Floats = np.zeros(sum(sizes))
        self._mean: float | None = None

    def learn(self, archs: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Take in the losses of one step, in its order; all are of one kind, so that they compare."""
        if not archs:
            return
        mean = float(np.mean(losses))
        self._mean = mean if self._mean is None else self._mean + DRIFT * (mean - self._mean)
        for places, loss in zip(self._places(archs), losses, strict=True):
            error = loss - self._mean - self._weights[places].sum()
            self._weights[places] += RATE * error / len(places)

    def __call__(self, archs: Sequence[Architecture]) -> list[float]:
        """The expected loss of each, less the mean of all."""
        return [float(value) for value in self._weights[self._places(archs)].sum(axis=1)]

    def _places(self, archs: Sequence[Architecture]) -> npt.NDArray[np.int64]:
        """Which weights are those of each architecture, (archs, genes)."""
        indices = self._space.genes.indices(self._space.encode(archs))
        return np.asarray(indices + self._first, dtype=np.int64)

    def state(self) -> dict[str, Any]:
        """What it has learned, as plain data that :meth:`restore` takes; nothing is rounded."""
        return {"weights": self._weights.tolist(), "mean": self._mean}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self._weights, self._mean = np.array(state["weights"]), state["mean"]
