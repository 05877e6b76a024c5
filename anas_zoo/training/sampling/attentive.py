"""Attentive sampling: of several candidates of like cost, the best or the worst (AttentiveNAS)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from anas_zoo.space import Architecture
from anas_zoo.training.recipe import SamplingRecipe
from anas_zoo.training.sampling.online import OnlineLoss
from anas_zoo.training.sampling.prior import Conditional, FlopsPrior
from anas_zoo.training.sampling.sampler import Draw, Moment, Quality, Sampler, between_ends, in_sandwich


class AttentiveSampler(Sampler):
    """The sandwich with attentive draws between (AttentiveNAS, section 3), ``subnets`` in a step.

    For each of them: draw τ from π(τ), draw k candidates of FLOPs τ from π(architecture | τ), train the one
    of highest (BestUp) or lowest (WorstUp) quality. One subnet a step is attended, without the sandwich.
    """

    def __init__(self, prior: FlopsPrior, recipe: SamplingRecipe, subnets: int) -> None:
        self._draws, self._recipe, self._subnets = Conditional(prior, recipe.max_tries), recipe, subnets
        self._online = OnlineLoss(prior.space) if recipe.quality == "online" else None

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, the attended ones, the smallest.

        Raises :class:`TrainingError` with the acceptance rate when no bin yields k candidates.
        """
        wanted = self._recipe.candidates
        groups = [self._candidates(moment, number) for number in range(between_ends(self._subnets))]
        if wanted > 1 and groups:
            # All at once: processes that train together then compare their losses once per step.
            every = [arch for group in groups for arch in group]
            scores = [-loss for loss in self._online(every)] if self._online else list(quality(every))
            choose = max if self._recipe.strategy == "bestup" else min
            picked = [
                group[choose(range(wanted), key=scores[start : start + wanted].__getitem__)]
                for start, group in zip(range(0, len(scores), wanted), groups, strict=True)
            ]
        else:
            picked = [group[0] for group in groups]
        return in_sandwich(self._draws.prior.space, picked, self._subnets)

    def _candidates(self, moment: Moment, number: int) -> list[Architecture]:
        rng, prior = moment.rng(number), self._draws.prior
        targets = (prior.draw_target(rng) for _ in itertools.count())
        return self._draws.first(targets, self._recipe.candidates, rng)[1]

    def learn(self, draws: Sequence[Draw], losses: Sequence[float], gradient_norm: float) -> None:
        """Move the online model, if there is one, by the losses of all but the largest, which has another."""
        if self._online is not None:
            others = [(d.arch, loss) for d, loss in zip(draws, losses, strict=True) if d.kind != "largest"]
            self._online.learn([arch for arch, _ in others], [loss for _, loss in others])

    def state(self) -> dict[str, Any]:
        """Conditional candidates drawn so far, how many fell into their bin, and what is learned online."""
        counts = dict(self._draws.counts)
        return counts if self._online is None else {**counts, "online": self._online.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self._draws.counts = {key: state[key] for key in self._draws.counts}
        if self._online is not None:
            self._online.restore(state["online"])
