"""Strategies that heed nothing: uniform draws, with and without the sandwich, fair rounds, shrinking."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from anas_zoo.data.batches import FAIR_ROUND
from anas_zoo.space import SearchSpace
from anas_zoo.training.recipe import OfaPhases
from anas_zoo.training.sampling.sampler import Draw, Moment, Quality, Sampler, between_ends, in_sandwich

Codes = npt.NDArray[np.int64]


class UniformSampler(Sampler):
    """The sandwich rule with uniform draws between (BigNAS, arXiv:2003.11142)."""

    def __init__(self, space: SearchSpace, subnets: int) -> None:
        self._space, self._subnets = space, subnets

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, uniform draws, the smallest."""
        codes = self._space.sample_codes(moment.rng(), between_ends(self._subnets))
        return in_sandwich(self._space, self._space.decode(codes), self._subnets)


class SinglePathSampler(Sampler):
    """One uniform draw a step, trained on the labels (single path one-shot, arXiv:1904.00420)."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """One architecture, every elastic dimension uniform."""
        return [Draw(self._space.sample(moment.rng()), "sampled")]


class FairSampler(Sampler):
    """Strict fairness (FairNAS, arXiv:1907.01845): every choice of every dimension equally often per round.

    FairNAS' choices are equally many everywhere, so its round has as many subnets as a layer has choices.
    Here they differ: a round has the least common multiple L of their numbers, and each dimension has each of
    its m choices L / m times, in random order. Steps take the next ``subnets`` of a round, then of the
    next one; with ``subnets`` = L every optimizer step is one fair round, as in the paper.
    """

    def __init__(self, space: SearchSpace, subnets: int) -> None:
        self._space, self._subnets = space, subnets
        self.round_length = math.lcm(*(len(choices) for choices in space.genes.choices))
        self._cached: tuple[tuple[int, ...], Codes] | None = None

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The next architectures of the round."""
        first = moment.step * self._subnets
        codes = [
            self._round(moment, place // self.round_length)[place % self.round_length]
            for place in range(first, first + self._subnets)
        ]
        return [Draw(arch, "sampled") for arch in self._space.decode(np.stack(codes))]

    def _round(self, moment: Moment, number: int) -> Codes:
        words = (*moment.seed, FAIR_ROUND, number)
        if self._cached is None or self._cached[0] != words:
            rng = np.random.default_rng(list(words))
            columns = [
                rng.permutation(np.tile(np.asarray(choices), self.round_length // len(choices)))
                for choices in self._space.genes.choices
            ]
            self._cached = words, np.stack(columns, axis=1).astype(np.int64)
        return self._cached[1]


class ShrinkingSampler(Sampler):
    """Progressive shrinking (once-for-all, arXiv:1908.09791): the largest subnet first, then smaller ones.

    The dimensions become elastic in the order kernel size, depth, width with expand ratio; those that are
    not yet keep their largest choice, the resolution is elastic always. The teacher is the largest subnet of
    the same step, where the paper keeps a frozen copy of it: so all strategies distil in the same way.
    """

    def __init__(self, space: SearchSpace, phases: OfaPhases, subnets: int) -> None:
        self._space, self._phases, self._others = space, phases, subnets - 1
        self._largest = space.encode([space.largest])[0]

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, then draws of what is elastic in this phase."""
        space, phases = self._space, self._phases
        width, depth, kernel_size, expand_ratio = space.genes.parts
        done = moment.step / moment.total
        elastic: list[slice] = [slice(0, 1)]
        if done < phases.full:
            largest = self._mixed(elastic, 1, moment)
            return [Draw(space.decode(largest)[0], "largest")]
        elastic.append(kernel_size)
        if done >= phases.full + phases.kernel:
            elastic.append(depth)
        if done >= phases.full + phases.kernel + phases.depth:
            elastic += [width, expand_ratio]
        others = space.decode(self._mixed(elastic, self._others, moment))
        return [Draw(space.largest, "largest"), *(Draw(arch, "sampled") for arch in others)]

    def _mixed(self, elastic: list[slice], count: int, moment: Moment) -> Codes:
        drawn = self._space.full_codes(moment.rng(), count)
        codes = np.tile(self._largest, (count, 1))
        for part in elastic:
            codes[:, part] = drawn[:, part]
        return codes
