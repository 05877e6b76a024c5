"""Training the supernet: which subnets a step trains, on what loss, and the loop around it."""

from anas_zoo.training.attentive import AttentiveSampler
from anas_zoo.training.metrics import read_metrics
from anas_zoo.training.prior import FlopsPrior
from anas_zoo.training.recipe import DistillationRecipe, EvaluationRecipe, SamplingRecipe, TrainRecipe
from anas_zoo.training.step import StepReport, SupernetStep
from anas_zoo.training.strategies import UniformSampler, make_sampler
from anas_zoo.training.trainer import Trainer
from anas_zoo.training.workers import Workers, join_workers, pick_device

__all__ = [
    "AttentiveSampler",
    "DistillationRecipe",
    "EvaluationRecipe",
    "FlopsPrior",
    "SamplingRecipe",
    "StepReport",
    "SupernetStep",
    "TrainRecipe",
    "Trainer",
    "UniformSampler",
    "Workers",
    "join_workers",
    "make_sampler",
    "pick_device",
    "read_metrics",
]
