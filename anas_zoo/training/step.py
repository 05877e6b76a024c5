"""One training step: the sandwich rule with in-place distillation and attentive sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anas_zoo.errors import TrainingError
from anas_zoo.nets import Supernet
from anas_zoo.space import Architecture
from anas_zoo.training.losses import distillation_loss, label_loss
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import Sampler

__all__ = ["StepReport", "train_step"]

View = Callable[[int], Tensor]  # the step's images at a resolution: R -> (N, 3, R, R)


@dataclass(frozen=True)
class StepReport:
    """What one step saw: the loss of each kind of subnet, and the sampled architectures."""

    largest_loss: float
    sampled_loss: float
    smallest_loss: float
    sampled: tuple[Architecture, ...]


def train_step(
    supernet: Supernet,
    view: View,
    labels: Tensor,
    recipe: TrainRecipe,
    sampler: Sampler,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> StepReport:
    """Accumulate the gradients of one step's K subnets; the caller clips and applies them.

    1. The largest subnet learns from ``labels`` (N,), with label smoothing, dropout and drop-connect.
    2. K - 2 sampled subnets and the smallest learn from the largest one's soft predictions, without.

    Raises :class:`TrainingError` on a loss that is not finite, before any weight has changed.
    """
    space = supernet.space
    largest, smallest = space.largest, space.smallest
    logits = supernet(
        view(largest.resolution),
        largest,
        drop_rate=recipe.drop_rate,
        drop_path_rate=recipe.drop_path_rate,
        generator=generator,
    )
    loss = label_loss(logits, labels, recipe.label_smoothing)
    largest_loss = _finite(loss, "largest")
    loss.backward()
    teacher = logits.detach()

    def quality(arch: Architecture) -> float:
        # The paper's best estimate: the negative loss on the current mini-batch, without gradient.
        with torch.no_grad():
            return -float(label_loss(supernet(view(arch.resolution), arch), labels, 0.0))

    sampled = []
    losses = []
    for _ in range(recipe.subnets_per_step - 2):
        arch = sampler.pick(rng, quality)
        losses.append(_distil(supernet, view, arch, teacher, "sampled"))
        sampled.append(arch)
    smallest_loss = _distil(supernet, view, smallest, teacher, "smallest")
    mean = sum(losses) / len(losses) if losses else float("nan")
    return StepReport(largest_loss, mean, smallest_loss, tuple(sampled))


def _distil(supernet: Supernet, view: View, arch: Architecture, teacher: Tensor, kind: str) -> float:
    loss = distillation_loss(supernet(view(arch.resolution), arch), teacher)
    value = _finite(loss, kind)
    loss.backward()
    return value


def _finite(loss: Tensor, kind: str) -> float:
    value = float(loss.detach())
    if not np.isfinite(value):
        raise TrainingError(
            f"the loss of the {kind} subnet became {value}; use a lower learning_rate or a longer warm-up"
        )
    return value
