"""The strategies by their names in a recipe."""

from __future__ import annotations

from anas_zoo.core.errors import ConfigError
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling.attentive import AttentiveSampler
from anas_zoo.training.sampling.gradient import GradientSampler
from anas_zoo.training.sampling.pool import PoolSampler
from anas_zoo.training.sampling.prior import Conditional, FlopsPrior
from anas_zoo.training.sampling.sampler import Sampler
from anas_zoo.training.sampling.unattended import (
    FairSampler,
    ShrinkingSampler,
    SinglePathSampler,
    UniformSampler,
)


def make_sampler(space: SearchSpace, recipe: TrainRecipe) -> tuple[Sampler, AccuracyPredictor | None]:
    """The strategy that the recipe names, and the predictor that it asks for quality, if any.

    Raises :class:`ConfigError` for a predictor that cannot be used, and for pools that are larger than the
    space.
    """
    sampling, subnets = recipe.sampling, recipe.subnets_per_step
    match sampling.strategy:
        case "uniform":
            return UniformSampler(space, subnets), None
        case "spos":
            return SinglePathSampler(space), None
        case "gradient":
            return GradientSampler(space), None
        case "fairnas":
            return FairSampler(space, subnets), None
        case "ofa":
            return ShrinkingSampler(space, sampling.ofa_phases, subnets), None
    predictor = None
    if sampling.quality == "predictor":
        assert sampling.predictor is not None  # the schema sees to it
        predictor = AccuracyPredictor(sampling.predictor, space)
    prior = FlopsPrior.draw(space, draws=sampling.prior_draws, bins=sampling.prior_bins)
    if sampling.strategy == "pool":
        draws = Conditional(prior, sampling.max_tries)
        pooled = sampling.pool.size * len(prior.occupied)
        if pooled > space.size:
            raise ConfigError(
                f"pools of {sampling.pool.size} in each of {len(prior.occupied)} bands hold {pooled:,} "
                f"architectures, {space.name!r} has {space.size:,}; give a smaller pool.size or fewer "
                "prior_bins"
            )
        return PoolSampler(draws, sampling.pool, subnets), None
    return AttentiveSampler(prior, sampling, subnets), predictor
