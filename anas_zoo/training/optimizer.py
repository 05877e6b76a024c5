"""The optimizer and its schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

from anas_zoo.training.recipe import TrainRecipe

__all__ = ["learning_rate_factor", "make_optimizer"]


def learning_rate_factor(epoch: float, recipe: TrainRecipe) -> float:
    """Share of the rate at a (fractional) epoch: linear warm-up, then cosine to zero."""
    if epoch < recipe.warmup_epochs:
        return recipe.warmup_factor + (1 - recipe.warmup_factor) * epoch / recipe.warmup_epochs
    done = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def make_optimizer(model: nn.Module, recipe: TrainRecipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on convolution and linear weights only."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        foreach=True,
    )
