from __future__ import annotations

import numpy as np
import pytest

from anas_zoo.space import SearchSpace
from anas_zoo.training import FlopsPrior

SPACE = SearchSpace.load("attentive_nas")


@pytest.fixture(scope="module")
def prior() -> FlopsPrior:
    return FlopsPrior.draw(SPACE, draws=200_000, bins=70)


def test_prior_has_the_published_quantiles(prior: FlopsPrior) -> None:
    """Uniform draws have FLOPs quantiles 1/5/25/50/75/95/99 % of 354/403/532/703/917/1170/1302 M.

    Those come from a sample of unknown size; ours lie within 3 % of each, and half a bin.
    """
    cumulative = np.cumsum(prior.probabilities)
    assert cumulative[-1] == pytest.approx(1.0)
    width = float(prior.edges[1] - prior.edges[0])
    for quantile, published in zip(
        (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99), (354, 403, 532, 703, 917, 1170, 1302), strict=True
    ):
        edge = float(prior.edges[int(np.searchsorted(cumulative, quantile))])
        assert abs(edge + width / 2 - published * 1e6) < width / 2 + 0.03 * published * 1e6


def test_conditional_draws_fall_into_their_bin(prior: FlopsPrior) -> None:
    rng, tried, accepted = np.random.default_rng(1), 0, 0
    for _ in range(50):
        target = prior.draw_target(rng)
        codes, tries = prior.draw_given(target, 3, rng, max_tries=100)
        macs = SPACE.macs(codes)
        assert ((macs >= prior.edges[target]) & (macs < prior.edges[target + 1])).all()
        tried, accepted = tried + tries, accepted + len(codes)
    assert accepted == 150
    assert 0.01 < accepted / tried < 1.0


def test_tries_are_bounded(prior: FlopsPrior) -> None:
    target = int(np.flatnonzero(prior.probabilities)[-1])
    codes, tries = prior.draw_given(target, 5, np.random.default_rng(1), max_tries=1)
    assert len(codes) <= 5
    assert tries <= 5


def test_frequencies_are_shares_within_each_bin_that_was_drawn(prior: FlopsPrior) -> None:
    for table, choices in zip(prior.frequencies, SPACE.genes.choices, strict=True):
        assert table.shape == (70, len(choices))
        sums = table.sum(1)
        assert np.allclose(sums[prior.probabilities > 0], 1.0)
        assert (sums[prior.probabilities == 0] == 0).all()
