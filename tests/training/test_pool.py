"""Draws from pools of good architectures: what a pool keeps, how the bands walk, and that it resumes."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.schema import parse
from anas_zoo.space import SearchSpace
from anas_zoo.training import TrainRecipe, make_sampler
from anas_zoo.training.sampling import Draw, FlopsPrior, Moment, Sampler
from anas_zoo.training.sampling.pool import Pool

SPACE = SearchSpace.load("tiny")
BINS, DRAWS = 8, 20_000
STEPS = 600


def sampler_of(*, size: int = 10, probability: float = 1.0, subnets: int = 4) -> Sampler:
    pool = {"size": size, "probability": probability}
    sampling = {"strategy": "pool", "prior_bins": BINS, "prior_draws": DRAWS, "pool": pool}
    return make_sampler(
        SPACE, parse(TrainRecipe, {"subnets_per_step": subnets, "sampling": sampling}, "test")
    )[0]


def none(archs: object) -> list[float]:
    raise AssertionError("a pool needs no trials")


def loss_of(draw: Draw) -> float:
    """Of like costs, those of more pixels are better."""
    return 3 - draw.arch.resolution / 32


def trained(sampler: Sampler, steps: range) -> list[list[Draw]]:
    found = []
    for step in steps:
        draws = sampler.draw(Moment((0, 0), step, STEPS), none)
        sampler.learn(draws, [loss_of(draw) for draw in draws], 1.0)
        found.append(draws)
    return found


def bands_of(steps: list[list[Draw]]) -> list[set[int]]:
    edges = FlopsPrior.draw(SPACE, draws=DRAWS, bins=BINS).edges
    archs = [[draw.arch for draw in draws if draw.kind == "sampled"] for draws in steps]
    return [set((np.searchsorted(edges, SPACE.macs(of_step), "right") - 1).tolist()) for of_step in archs]


def test_a_pool_keeps_the_lowest_losses_for_their_time() -> None:
    pool = Pool(2)
    assert pool.draw(np.random.default_rng(0)) is None
    for time in range(200):  # the losses fall, so a late bad one is lower than an early good one
        for code, loss in (((1,), 1.0), ((2,), 0.2), ((3,), 0.5), ((4,), 0.1)):
            pool.learn(code, loss + 5 - time / 50)
    rng = np.random.default_rng(0)
    assert {pool.draw(rng) for _ in range(50)} == {(2,), (4,)}
    other = Pool(2)
    other.restore(json.loads(json.dumps(pool.state())))
    assert other.state() == pool.state()


def test_a_step_is_of_one_band_and_the_next_of_a_neighbour() -> None:
    steps = trained(sampler_of(), range(60))
    assert [draw.kind for draw in steps[0]] == ["largest", "sampled", "sampled", "smallest"]
    bands = bands_of(steps)
    assert {len(of_step) for of_step in bands} == {1}
    places = [min(of_step) for of_step in bands]
    assert len(set(places)) > 3
    assert max(abs(a - b) for a, b in pairwise(places)) == 1


def test_late_draws_are_better_than_early_ones_of_their_band() -> None:
    steps = trained(sampler_of(), range(STEPS))
    bands = [min(of_step) for of_step in bands_of(steps)]

    def losses(part: range) -> dict[int, float]:
        of_band: dict[int, list[float]] = {}
        for step in part:
            of_band.setdefault(bands[step], []).extend(map(loss_of, steps[step][1:-1]))
        return {band: float(np.mean(values)) for band, values in of_band.items() if len(values) >= 20}

    early, late = losses(range(200)), losses(range(400, 600))
    both = early.keys() & late.keys()
    assert len(both) >= 2
    assert all(late[band] <= early[band] for band in both)
    assert sum(early[band] - late[band] for band in both) / len(both) > 0.02


@pytest.mark.parametrize("subnets", [1, 4])
def test_it_resumes_to_the_same_draws(subnets: int) -> None:
    whole = sampler_of(subnets=subnets)
    trained(whole, range(300))
    resumed = sampler_of(subnets=subnets)
    resumed.restore(json.loads(json.dumps(whole.state())))
    assert trained(resumed, range(300, 330)) == trained(whole, range(300, 330))
    assert resumed.state() == whole.state()


def test_pools_larger_than_the_space_are_refused() -> None:
    said = r"pools of 5000 in each of 8 bands hold 40,000 architectures, 'tiny' has 4,860"
    with pytest.raises(ConfigError, match=said):
        sampler_of(size=5000)
