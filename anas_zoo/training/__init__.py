"""Training the supernet: which subnets a step trains, on what loss, and the loop around it."""

from anas_zoo.training.metrics import read_metrics
from anas_zoo.training.processes import Processes, join_processes, pick_device
from anas_zoo.training.recipe import DistillationRecipe, EvaluationRecipe, SamplingRecipe, TrainRecipe
from anas_zoo.training.sampling import AttentiveSampler, FlopsPrior, UniformSampler, make_sampler
from anas_zoo.training.step import StepReport, SupernetStep
from anas_zoo.training.trainer import Trainer

__all__ = [
    "AttentiveSampler",
    "DistillationRecipe",
    "EvaluationRecipe",
    "FlopsPrior",
    "Processes",
    "SamplingRecipe",
    "StepReport",
    "SupernetStep",
    "TrainRecipe",
    "Trainer",
    "UniformSampler",
    "join_processes",
    "make_sampler",
    "pick_device",
    "read_metrics",
]
