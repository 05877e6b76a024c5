"""Training the supernet: which subnets a step trains, on what loss, and the loop around it."""

from anas_zoo.training.loop import EpochReport, train_supernet
from anas_zoo.training.prior import FlopsPrior
from anas_zoo.training.recipe import SamplingRecipe, TrainRecipe
from anas_zoo.training.sampling import AttentiveSampler, UniformSampler, make_sampler

__all__ = [
    "AttentiveSampler",
    "EpochReport",
    "FlopsPrior",
    "SamplingRecipe",
    "TrainRecipe",
    "UniformSampler",
    "make_sampler",
    "train_supernet",
]
