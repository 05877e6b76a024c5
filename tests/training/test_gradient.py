"""Choices drawn by their gradients: how often, that absent blocks learn nothing, and that it resumes."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from anas_zoo.space import SearchSpace
from anas_zoo.training.sampling import Draw, Moment
from anas_zoo.training.sampling.gradient import GradientSampler

SPACE = SearchSpace.load("tiny")


def none(archs: object) -> list[float]:
    raise AssertionError("gradients need no trials")


def taught() -> GradientSampler:
    """One that saw gradients in proportion to the resolution."""
    sampler = GradientSampler(SPACE)
    for arch in SPACE.decode(SPACE.sample_codes(np.random.default_rng(0), 400)):
        sampler.learn([Draw(arch, "sampled")], [1.0], float(arch.resolution))
    return sampler


def resolutions(sampler: GradientSampler, step: int, total: int) -> dict[int, float]:
    count = 2000
    drawn = Counter(
        sampler.draw(Moment((seed, 0), step, total), none)[0].arch.resolution for seed in range(count)
    )
    return {side: drawn[side] / count for side in SPACE.genes.choices[0]}


def test_draws_go_from_uniform_to_the_share_of_the_gradients() -> None:
    sampler, sides = taught(), SPACE.genes.choices[0]
    early, late = resolutions(sampler, 0, 1000), resolutions(sampler, 999, 1000)
    for side in sides:
        assert early[side] == pytest.approx(1 / len(sides), abs=0.04)
        assert late[side] == pytest.approx(side / sum(sides), abs=0.04)
    untaught = resolutions(GradientSampler(SPACE), 999, 1000)
    assert untaught == pytest.approx(dict.fromkeys(sides, 1 / len(sides)), abs=0.04)


def test_blocks_that_are_not_there_learn_nothing() -> None:
    space = SearchSpace.load("ofa_mbv3_w1_0")  # every block has genes of its own
    (code,) = space.encode([space.smallest]).tolist()
    assert 0 in code
    sampler = GradientSampler(space)
    sampler.learn([Draw(space.smallest, "sampled")], [1.0], 7.0)
    for norms, value in zip(sampler.state()["norms"], code, strict=True):
        assert sum(norms) == (7.0 if value else 0.0)
        assert set(norms) <= {0.0, 7.0}
    space.validate(sampler.draw(Moment((0, 0), 50, 100), none)[0].arch)


def test_it_resumes_to_the_same_draws() -> None:
    sampler, other = taught(), GradientSampler(SPACE)
    other.restore(json.loads(json.dumps(sampler.state())))
    for one in (sampler, other):
        one.learn([Draw(SPACE.largest, "sampled")], [1.0], 3.0)
    assert other.state() == sampler.state()
    moment = Moment((3, 0), 700, 1000)
    assert other.draw(moment, none) == sampler.draw(moment, none)
