from __future__ import annotations

import numpy as np
import pytest

from anas_zoo.errors import TrainingError
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import AttentiveSampler, FlopsPrior, SamplingRecipe, UniformSampler, make_sampler

SPACE = SearchSpace.load("attentive_nas")
RECIPE = SamplingRecipe(prior_draws=20_000)


def prior(seed: int = 0) -> FlopsPrior:
    return FlopsPrior(SPACE, np.random.default_rng(seed), draws=200_000, bins=70)


def test_prior_has_the_published_quantiles() -> None:
    """Uniform draws have FLOPs quantiles 1/5/25/50/75/95/99 % of 354/403/532/703/917/1170/1302 M.

    Those come from a sample of unknown size; a million draws of ours lie within 2.5 % of each.
    """
    found = prior()
    cumulative = np.cumsum(found.probabilities)
    assert cumulative[-1] == pytest.approx(1.0)
    width = float(found.edges[1] - found.edges[0])
    for quantile, published in zip(
        (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99), (354, 403, 532, 703, 917, 1170, 1302), strict=True
    ):
        edge = float(found.edges[int(np.searchsorted(cumulative, quantile))])
        assert abs(edge + width / 2 - published * 1e6) < width / 2 + 0.03 * published * 1e6


def test_conditional_draws_fall_into_their_bin() -> None:
    found, rng = prior(), np.random.default_rng(1)
    for _ in range(50):
        target = found.draw_target(rng)
        codes = found.draw_given(target, 3, rng, max_tries=100)
        macs = SPACE.macs(codes)
        assert ((macs >= found.edges[target]) & (macs < found.edges[target + 1])).all()
    assert found.accepted == 150
    assert 1.0 < found.acceptance_pct < 100.0


def test_tries_are_bounded_and_reported() -> None:
    found, rng = prior(), np.random.default_rng(1)
    target = int(np.flatnonzero(found.probabilities)[-1])
    codes = found.draw_given(target, 5, rng, max_tries=1)
    assert len(codes) <= 5
    assert found.tried <= 5


def test_bestup_and_worstup_take_the_ends_of_the_same_candidates() -> None:
    def pick(strategy: str) -> tuple[Architecture, list[Architecture]]:
        recipe = RECIPE.model_copy(update={"strategy": strategy, "candidates": 5})
        rng = np.random.default_rng(7)
        sampler = make_sampler(SPACE, recipe, rng)
        seen: list[Architecture] = []

        def quality(arch: Architecture) -> float:
            seen.append(arch)
            return float(arch.width[-1] * 1000 + sum(arch.depth) + arch.resolution / 1000)

        return sampler.pick(rng, quality), seen

    best, candidates = pick("bestup")
    worst, same = pick("worstup")
    assert candidates == same
    assert len(candidates) == 5
    scores = {a: a.width[-1] * 1000 + sum(a.depth) + a.resolution / 1000 for a in candidates}
    assert scores[best] == max(scores.values())
    assert scores[worst] == min(scores.values())
    assert best != worst


def test_uniform_asks_for_no_quality() -> None:
    def refuse(arch: Architecture) -> float:
        raise AssertionError("quality is not needed")

    sampler = make_sampler(SPACE, SamplingRecipe(strategy="uniform"), np.random.default_rng(0))
    assert isinstance(sampler, UniformSampler)
    assert sampler.acceptance_pct() is None
    SPACE.validate(sampler.pick(np.random.default_rng(0), refuse))


def test_hopeless_conditioning_ends_with_the_acceptance_rate() -> None:
    recipe = SamplingRecipe(candidates=100, max_tries=1, prior_draws=20_000, prior_bins=1000)
    found = FlopsPrior(SPACE, np.random.default_rng(0), draws=20_000, bins=1000)
    sampler = AttentiveSampler(found, recipe)
    with pytest.raises(TrainingError, match=r"acceptance .* %"):
        sampler.pick(np.random.default_rng(0), lambda arch: 0.0)
