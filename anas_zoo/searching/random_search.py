"""Random search: uniform draws within the limits. What every other algorithm has to beat."""

from __future__ import annotations

import numpy as np

from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.problem import Codes

__all__ = ["RandomSearch"]

BATCH = 32


class RandomSearch(Algorithm):
    """Every elastic dimension uniform and independent, redrawn until the limits are kept."""

    def _propose(self, rng: np.random.Generator) -> Codes:
        return self._draw(rng, BATCH)
