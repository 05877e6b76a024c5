"""A pool of good architectures in each band of costs, found by the losses of the steps, to draw from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from anas_zoo.space import Architecture
from anas_zoo.training.recipe import PoolRecipe
from anas_zoo.training.sampling.prior import Conditional
from anas_zoo.training.sampling.sampler import Draw, Moment, Quality, Sampler, between_ends, in_sandwich

Code = tuple[int, ...]

DRIFT = 0.05  # of the way of a band's mean loss to each new one
AGAIN = 0.5  # of the way of a pooled architecture's score to its new one


class Pool:
    """The best architectures of one band that were trained so far, at most ``size``.

    An architecture's score is how far its loss lay below the mean of the band's last ones, which falls as the
    supernet learns. One that is trained again moves half of the way to its new score, so that none stays for
    one lucky batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._mean: float | None = None
        self._scores: dict[Code, float] = {}  # lower is better

    def learn(self, code: Code, loss: float) -> None:
        """Take in a loss of this band."""
        self._mean = loss if self._mean is None else self._mean + DRIFT * (loss - self._mean)
        score, known = loss - self._mean, self._scores.get(code)
        self._scores[code] = score if known is None else known + AGAIN * (score - known)
        if len(self._scores) > self._size:
            del self._scores[max(self._scores, key=self._scores.__getitem__)]

    def draw(self, rng: np.random.Generator) -> Code | None:
        """One of them, all alike; None of an empty pool."""
        codes = list(self._scores)
        return codes[int(rng.integers(len(codes)))] if codes else None

    def state(self) -> dict[str, Any]:
        """All of it as plain data, in its order."""
        return {"mean": self._mean, "scores": [[*code, score] for code, score in self._scores.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self._mean = state["mean"]
        self._scores = {tuple(code): score for *code, score in state["scores"]}


class PoolSampler(Sampler):
    """The sandwich with draws of one band of costs, some of them from its pool of good architectures.

    The band is the last step's, the next higher or the next lower one, so that a step's subnets are alike and
    those of successive steps too (ElasticViT, arXiv:2303.09730, section 3.2). A draw is from the pool with a
    probability that grows linearly from 0 to the recipe's, else a fresh one of the band; the pool is that of
    GreedyNAS (arXiv:2003.11236, section 3.3), here of the losses that the steps compute anyway. With one
    subnet a step there is no sandwich.
    """

    def __init__(self, draws: Conditional, recipe: PoolRecipe, subnets: int) -> None:
        self._draws, self._recipe, self._subnets = draws, recipe, subnets
        self._bands = [int(band) for band in draws.prior.occupied]
        self._pools = {band: Pool(recipe.size) for band in self._bands}
        self._band: int | None = None

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, draws of one band, the smallest.

        Raises :class:`TrainingError` with the acceptance rate where bands yield too few fresh draws.
        """
        rng, space = moment.rng(), self._draws.prior.space
        self._band, fresh = self._draws.first(self._walk(rng), between_ends(self._subnets), rng)
        share = self._recipe.probability * moment.step / moment.total
        picked: list[Architecture] = []
        for arch in fresh:
            pooled = self._pools[self._band].draw(rng) if rng.random() < share else None
            picked.append(arch if pooled is None else space.decode(np.array([pooled]))[0])
        return in_sandwich(space, picked, self._subnets)

    def _walk(self, rng: np.random.Generator) -> Iterator[int]:
        """Bands, each a neighbour of the one before or the same; the first of all is any."""
        last = len(self._bands) - 1
        place = int(rng.integers(last + 1)) if self._band is None else self._bands.index(self._band)
        for _ in itertools.count():
            place = min(max(place + int(rng.integers(-1, 2)), 0), last)
            yield self._bands[place]

    def learn(self, draws: Sequence[Draw], losses: Sequence[float], gradient_norm: float) -> None:
        """Take the losses of the step's band into its pool."""
        assert self._band is not None
        sampled = [(d.arch, loss) for d, loss in zip(draws, losses, strict=True) if d.kind == "sampled"]
        codes = self._draws.prior.space.encode([arch for arch, _ in sampled])
        for code, (_, loss) in zip(codes.tolist(), sampled, strict=True):
            self._pools[self._band].learn(tuple(code), loss)

    def state(self) -> dict[str, Any]:
        """The band, the pools, and how many fresh draws were tried and accepted."""
        pools = [pool.state() for pool in self._pools.values()]
        return {**self._draws.counts, "band": self._band, "pools": pools}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self._draws.counts = {key: state[key] for key in self._draws.counts}
        self._band = state["band"]
        for pool, stored in zip(self._pools.values(), state["pools"], strict=True):
            pool.restore(stored)
