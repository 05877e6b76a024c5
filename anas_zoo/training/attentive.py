"""Attentive sampling, BestUp-k and WorstUp-k: train the best or the worst of k architectures of one FLOPs."""

from __future__ import annotations

from anas_zoo.core.errors import TrainingError
from anas_zoo.space import Architecture
from anas_zoo.training.prior import FlopsPrior
from anas_zoo.training.recipe import SamplingRecipe
from anas_zoo.training.sampling import Draw, Moment, Quality

__all__ = ["AttentiveSampler"]

MAX_TARGETS = 20  # a target whose bin yields too few candidates is drawn anew at most so often


class AttentiveSampler:
    """The sandwich with attentive draws between (AttentiveNAS, section 3).

    For each of them: draw τ from π(τ), draw k candidates of FLOPs τ from π(architecture | τ), train the one
    of highest (BestUp) or lowest (WorstUp) quality.

    Args:
        prior: π of the space.
        recipe: strategy, k, and how hard to try.
        subnets: subnets of a step, the largest and the smallest included.
    """

    def __init__(self, prior: FlopsPrior, recipe: SamplingRecipe, subnets: int) -> None:
        self._prior, self._recipe, self._between = prior, recipe, subnets - 2
        self._tried = self._accepted = 0

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, the attended ones, the smallest.

        Raises :class:`TrainingError` with the acceptance rate when no bin yields k candidates.
        """
        space, wanted = self._prior.space, self._recipe.candidates
        groups = [self._candidates(moment, number) for number in range(self._between)]
        if wanted > 1 and groups:
            # All at once: processes that train together then compare their losses once per step.
            scores = list(quality([arch for group in groups for arch in group]))
            choose = max if self._recipe.strategy == "bestup" else min
            picked = [
                group[choose(range(wanted), key=scores[start : start + wanted].__getitem__)]
                for start, group in zip(range(0, len(scores), wanted), groups, strict=True)
            ]
        else:
            picked = [group[0] for group in groups]
        return [
            Draw(space.largest, "largest"),
            *(Draw(arch, "sampled") for arch in picked),
            Draw(space.smallest, "smallest"),
        ]

    def _candidates(self, moment: Moment, number: int) -> list[Architecture]:
        rng, wanted = moment.rng(number), self._recipe.candidates
        for _ in range(MAX_TARGETS):
            target = self._prior.draw_target(rng)
            codes, tried = self._prior.draw_given(target, wanted, rng, max_tries=self._recipe.max_tries)
            self._tried += tried
            self._accepted += len(codes)
            if len(codes) == wanted:
                return self._prior.space.decode(codes)
        raise TrainingError(
            f"no FLOPs bin of {MAX_TARGETS} drawn gave {wanted} candidates in {self._recipe.max_tries} "
            f"tries each (acceptance {100 * self._accepted / self._tried:.2g} %); use fewer prior_bins"
        )

    def counters(self) -> dict[str, int]:
        """Conditional candidates drawn so far, and how many fell into their bin."""
        return {"tried": self._tried, "accepted": self._accepted}

    def restore(self, counters: dict[str, int]) -> None:
        """Continue these counts."""
        self._tried, self._accepted = counters["tried"], counters["accepted"]
