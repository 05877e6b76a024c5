"""Attentive sampling: which subnets a training step spends its time on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from anas_zoo.errors import TrainingError
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training.prior import FlopsPrior
from anas_zoo.training.recipe import SamplingRecipe

__all__ = ["AttentiveSampler", "Sampler", "UniformSampler", "make_sampler"]

MAX_TARGETS = 20  # a target whose bin yields too few candidates is drawn anew at most so often

Quality = Callable[[Architecture], float]


class Sampler(Protocol):
    """Picks the subnets between the largest and the smallest one."""

    def pick(self, rng: np.random.Generator, quality: Quality) -> Architecture:
        """One architecture to train now; ``quality`` is higher for better ones."""
        ...

    def acceptance_pct(self) -> float | None:
        """Accepted share of conditional draws, None where there are none."""
        ...


class UniformSampler:
    """A uniform draw, as in SPOS and BigNAS; asks for no quality."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def pick(self, rng: np.random.Generator, quality: Quality) -> Architecture:
        """One architecture, every elastic dimension uniform."""
        return self._space.sample(rng)

    def acceptance_pct(self) -> float | None:
        """None: nothing is rejected."""
        return None


class AttentiveSampler:
    """BestUp-k and WorstUp-k: the best or worst of k architectures of one drawn FLOPs.

    AttentiveNAS, section 3: draw τ from π(τ), draw k candidates of FLOPs τ, train the one of highest
    (BestUp) or lowest (WorstUp) quality.
    """

    def __init__(self, prior: FlopsPrior, recipe: SamplingRecipe) -> None:
        self._prior = prior
        self._recipe = recipe
        self._choose: Callable[..., int] = max if recipe.strategy == "bestup" else min

    def pick(self, rng: np.random.Generator, quality: Quality) -> Architecture:
        """One architecture to train now.

        Raises :class:`TrainingError` with the acceptance rate when no bin yields k candidates.
        """
        wanted = self._recipe.candidates
        for _ in range(MAX_TARGETS):
            target = self._prior.draw_target(rng)
            codes = self._prior.draw_given(target, wanted, rng, max_tries=self._recipe.max_tries)
            if len(codes) == wanted:
                break
        else:
            raise TrainingError(
                f"no FLOPs bin of {MAX_TARGETS} drawn gave {wanted} candidates in {self._recipe.max_tries} "
                f"tries each (acceptance {self._prior.acceptance_pct:.2g} %); use fewer prior_bins"
            )
        candidates = self._prior.space.decode(codes)
        if wanted == 1:
            return candidates[0]
        scores = [quality(arch) for arch in candidates]
        return candidates[self._choose(range(wanted), key=scores.__getitem__)]

    def acceptance_pct(self) -> float | None:
        """Accepted share of conditional draws so far."""
        return self._prior.acceptance_pct


def make_sampler(space: SearchSpace, recipe: SamplingRecipe, rng: np.random.Generator) -> Sampler:
    """The sampler that the recipe names; ``rng`` draws its FLOPs prior."""
    if recipe.strategy == "uniform":
        return UniformSampler(space)
    prior = FlopsPrior(space, rng, draws=recipe.prior_draws, bins=recipe.prior_bins)
    return AttentiveSampler(prior, recipe)
