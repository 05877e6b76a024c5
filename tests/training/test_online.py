"""A model of losses that learns while a supernet trains: its order of subnets, and that it resumes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import kendalltau

from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training.sampling.online import OnlineLoss

SPACE = SearchSpace.load("tiny")


def worth(arch: Architecture) -> float:
    """The loss that a subnet departs from others by: small ones have more."""
    return -arch.resolution / 32 - sum(arch.width) / 300


def taught(steps: int, *, at_once: int = 1, noise: float = 0.2, seed: int = 0) -> OnlineLoss:
    """One that saw so many steps, whose losses fall from 3 to 1 and are noisy."""
    rng, model = np.random.default_rng(seed), OnlineLoss(SPACE)
    for step in range(steps):
        archs = SPACE.decode(SPACE.sample_codes(rng, at_once))
        common = 3 - 2 * step / steps + noise * rng.standard_normal()
        model.learn(archs, [common + worth(arch) + noise * rng.standard_normal() for arch in archs])
    return model


@pytest.mark.parametrize("at_once", [1, 3])
def test_it_orders_subnets_that_it_never_saw(at_once: int) -> None:
    archs = SPACE.decode(SPACE.sample_codes(np.random.default_rng(9), 200))
    truth = [worth(arch) for arch in archs]
    assert kendalltau(taught(1000, at_once=at_once)(archs), truth).statistic > 0.8
    untaught = OnlineLoss(SPACE)
    untaught.learn([], [])
    assert set(untaught(archs)) == {0.0}


def test_it_says_how_far_a_loss_is_from_the_mean() -> None:
    archs = SPACE.decode(SPACE.sample_codes(np.random.default_rng(9), 500))
    truth = np.array([worth(arch) for arch in archs])
    expected = np.array(taught(5000, noise=0.0)(archs))
    assert np.abs(expected - (truth - truth.mean())).mean() < 0.25 * truth.std()


def test_what_is_stored_goes_on_to_the_last_bit() -> None:
    model = taught(300)
    other = OnlineLoss(SPACE)
    other.restore(json.loads(json.dumps(model.state())))
    archs = SPACE.decode(SPACE.sample_codes(np.random.default_rng(3), 5))
    for one in (model, other):
        one.learn(archs, [1.0, 0.5, 0.3, 0.2, 0.1])
    assert other.state() == model.state()
    assert other(archs) == model(archs)
