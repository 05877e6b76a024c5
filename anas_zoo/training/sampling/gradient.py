"""Choices drawn by the gradients that they had: more often where there is more to learn (PA&DA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.space import SearchSpace
from anas_zoo.training.sampling.sampler import Draw, Moment, Quality, Sampler

Floats = npt.NDArray[np.float64]

DRIFT = 0.05  # of the way of a choice's mean to each new gradient norm


class GradientSampler(Sampler):
    """One path a step, its choices drawn by the mean norm of the gradients of the steps that had them.

    Of importance sampling the variance is least where paths are drawn in proportion to their gradient norms
    (PA&DA, arXiv:2302.14772, section 3.2). The probability of a choice is (1 - s) / m + s · G / ΣG of its m
    choices, s being the part of the training that is done. There G is of the operation's own weights; here
    choices share weights and are sizes too, so it is of all of the step's.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._norms: list[Floats] = [np.zeros(len(choices)) for choices in space.genes.choices]  # 0: not seen

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """One architecture."""
        rng, genes = moment.rng(), self._space.genes
        done = moment.step / moment.total
        columns = [
            choices[rng.choice(len(choices), p=_probabilities(norms, done))]
            for choices, norms in zip(genes.choices, self._norms, strict=True)
        ]
        code = genes.canonical(np.array([columns], dtype=np.int64))
        return [Draw(self._space.decode(code)[0], "sampled")]

    def learn(self, draws: Sequence[Draw], losses: Sequence[float], gradient_norm: float) -> None:
        """Move the mean of each choice that the step's subnet had."""
        genes = self._space.genes
        (indices,) = genes.indices(self._space.encode([draws[0].arch])).tolist()
        for gene, index in enumerate(indices):
            place = index - (gene in genes.optional)
            if place >= 0:  # the block is there
                norms = self._norms[gene]
                norms[place] += (DRIFT if norms[place] else 1.0) * (gradient_norm - norms[place])

    def state(self) -> dict[str, Any]:
        """The mean norms of all choices; nothing is rounded."""
        return {"norms": [norms.tolist() for norms in self._norms]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self._norms = [np.array(norms) for norms in state["norms"]]


def _probabilities(norms: Floats, done: float) -> Floats:
    """Of one gene's choices; those not seen yet are taken for the mean of the others."""
    seen = norms > 0
    if not seen.any():
        return np.full(len(norms), 1 / len(norms))
    known: Floats = np.where(seen, norms, norms[seen].mean())
    shares: Floats = (1 - done) / len(norms) + done * known / known.sum()
    return shares
