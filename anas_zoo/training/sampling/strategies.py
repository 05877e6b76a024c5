"""Which subnets a training step trains: attentive sampling, and the strategies that it is compared with."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import TrainingError
from anas_zoo.data.batches import FAIR_ROUND, SUBNETS
from anas_zoo.space import AccuracyPredictor, Architecture, SearchSpace
from anas_zoo.training.online import OnlineLoss
from anas_zoo.training.prior import FlopsPrior
from anas_zoo.training.recipe import OfaPhases, SamplingRecipe, TrainRecipe

Codes = npt.NDArray[np.int64]
Kind = Literal["largest", "sampled", "smallest"]
MAX_TARGETS = 20  # FLOPs bins tried for one draw, where they yield too few candidates
Quality = Callable[[Sequence[Architecture]], Sequence[float]]  # higher is better


@dataclass(frozen=True)
class Draw:
    """One subnet to train. The ``largest`` learns from the labels and teaches the others of its step."""

    arch: Architecture
    kind: Kind


@dataclass(frozen=True)
class Moment:
    """Where in a training a step is; with the seed it decides everything random about the step.

    ``seed`` is the training's, and how often it was rolled back; ``step`` counts those done before, of
    ``total``.
    """

    seed: tuple[int, int]
    step: int
    total: int

    def rng(self, *words: int) -> np.random.Generator:
        """A generator for this step; ``words`` tell its uses apart."""
        return np.random.default_rng([*self.seed, SUBNETS, self.step, *words])


class Sampler(ABC):
    """A strategy. What it keeps from step to step is its state, so a training resumes anywhere.

    Those that keep nothing inherit the state here.
    """

    @abstractmethod
    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The subnets to train in this step, in order; ``quality`` is used by attentive sampling only."""

    def learn(self, draws: Sequence[Draw], losses: Sequence[float]) -> None:  # noqa: B027 # most do not
        """Take in the losses of a step's ``draws``, the same ones in every process."""

    def state(self) -> dict[str, Any]:
        """What it keeps, as plain data that is stored with the training; empty where there is nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        assert not state, "this strategy keeps nothing"


class AttentiveSampler(Sampler):
    """The sandwich with attentive draws between (AttentiveNAS, section 3), ``subnets`` in a step.

    For each of them: draw τ from π(τ), draw k candidates of FLOPs τ from π(architecture | τ), train the one
    of highest (BestUp) or lowest (WorstUp) quality. One subnet a step is attended, without the sandwich.
    """

    def __init__(self, prior: FlopsPrior, recipe: SamplingRecipe, subnets: int) -> None:
        self._prior, self._recipe, self._subnets = prior, recipe, subnets
        self._tried = self._accepted = 0
        self._online = OnlineLoss(prior.space) if recipe.quality == "online" else None

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, the attended ones, the smallest.

        Raises :class:`TrainingError` with the acceptance rate when no bin yields k candidates.
        """
        space, wanted = self._prior.space, self._recipe.candidates
        attended = 1 if self._subnets == 1 else self._subnets - 2
        groups = [self._candidates(moment, number) for number in range(attended)]
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
        if self._subnets == 1:
            return [Draw(arch, "sampled") for arch in picked]
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

    def learn(self, draws: Sequence[Draw], losses: Sequence[float]) -> None:
        """Move the online model, if there is one, by the losses of all but the largest, which has another."""
        if self._online is not None:
            others = [(d.arch, loss) for d, loss in zip(draws, losses, strict=True) if d.kind != "largest"]
            self._online.learn([arch for arch, _ in others], [loss for _, loss in others])

    def state(self) -> dict[str, Any]:
        """Conditional candidates drawn so far, how many fell into their bin, and what is learned online."""
        counts = {"tried": self._tried, "accepted": self._accepted}
        return counts if self._online is None else {**counts, "online": self._online.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from these."""
        self._tried, self._accepted = state["tried"], state["accepted"]
        if self._online is not None:
            self._online.restore(state["online"])


class UniformSampler(Sampler):
    """The sandwich rule with uniform draws between (BigNAS, arXiv:2003.11142)."""

    def __init__(self, space: SearchSpace, subnets: int) -> None:
        self._space, self._between = space, subnets - 2

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """The largest, uniform draws, the smallest."""
        space = self._space
        codes = space.sample_codes(moment.rng(), self._between)
        between = [Draw(arch, "sampled") for arch in space.decode(codes)]
        return [Draw(space.largest, "largest"), *between, Draw(space.smallest, "smallest")]


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


def make_sampler(space: SearchSpace, recipe: TrainRecipe) -> tuple[Sampler, AccuracyPredictor | None]:
    """The strategy that the recipe names, and the predictor that it asks for quality, if any.

    Raises :class:`ConfigError` for a predictor that cannot be used.
    """
    sampling, subnets = recipe.sampling, recipe.subnets_per_step
    if sampling.strategy == "uniform":
        return UniformSampler(space, subnets), None
    if sampling.strategy == "spos":
        return SinglePathSampler(space), None
    if sampling.strategy == "fairnas":
        return FairSampler(space, subnets), None
    if sampling.strategy == "ofa":
        return ShrinkingSampler(space, sampling.ofa_phases, subnets), None
    predictor = None
    if sampling.quality == "predictor":
        assert sampling.predictor is not None  # the schema sees to it
        predictor = AccuracyPredictor(sampling.predictor, space)
    prior = FlopsPrior.draw(space, draws=sampling.prior_draws, bins=sampling.prior_bins)
    return AttentiveSampler(prior, sampling, subnets), predictor
