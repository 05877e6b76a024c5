"""A made-up accuracy and small problems, for the tests of searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anas_zoo.searching import Limits, Problem, Score, SearchRecipe
from anas_zoo.space import Architecture, SearchSpace

SPACE = SearchSpace.load("attentive_nas")
DIGITS = SearchSpace.load("digits")
RANGE = {"macs": {"min": 200e6, "max": 1200e6}}


def accuracy(arch: Architecture) -> float:
    """Smooth: deeper, wider and larger is better, with a best kernel of 5 late."""
    gain = arch.resolution / 288 + sum(arch.depth) / 37 + sum(arch.width) / 3000
    return 60.0 + 8.0 * (gain + 0.1 * sum(k == 5 for k in arch.kernel_size[3:]))


class MadeUp:
    """An evaluator that counts what it is asked and fails where it is told to."""

    images, images_forwarded = 100, 150

    def __init__(self, *, at_once: int = 1, fails: Sequence[int] = ()) -> None:
        self.at_once, self.asked, self._fails = at_once, list[Architecture](), set(fails)

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        found = []
        for arch in archs:
            failed = len(self.asked) in self._fails
            self.asked.append(arch)
            found.append(Score(None, "RuntimeError: no memory") if failed else Score(accuracy(arch)))
        return found


def problem(limits: dict[str, Any] | None = None, **options: Any) -> Problem:
    """A problem on the paper's space."""
    options = {"num_classes": 1000} | options
    return Problem(SPACE, limits=Limits.model_validate(limits or {}), **options)


def recipe(algorithm: str, evaluations: int = 40, **more: Any) -> SearchRecipe:
    """Small rounds, so that few evaluations make several of them."""
    data = {
        "algorithm": algorithm,
        "evaluations": evaluations,
        "surrogate": {"initial": 16, "batch": 8, "population": 30, "generations": 4},
        "nsga2": {"population": 12},
        "evolution": {"rounds": 4},
    }
    return SearchRecipe.model_validate(data | more)


def latency_ms(codes: Any) -> Any:
    """A made-up latency of codes."""
    return 1.0 + SPACE.macs(codes).astype(np.float64) / 5e7
