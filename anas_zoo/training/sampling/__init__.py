"""Which subnets a training step trains: attentive sampling, and the strategies that it is compared with."""

from anas_zoo.training.sampling.attentive import AttentiveSampler
from anas_zoo.training.sampling.prior import FlopsPrior
from anas_zoo.training.sampling.sampler import Draw, Moment, Quality, Sampler
from anas_zoo.training.sampling.strategies import make_sampler
from anas_zoo.training.sampling.unattended import FairSampler, UniformSampler

__all__ = [
    "AttentiveSampler",
    "Draw",
    "FairSampler",
    "FlopsPrior",
    "Moment",
    "Quality",
    "Sampler",
    "UniformSampler",
    "make_sampler",
]
