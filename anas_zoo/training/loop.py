"""The training loop: optimizer, schedule, epochs, and a line of metrics for each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from anas_zoo.data import TrainImages, augment, draw_affine
from anas_zoo.nets import Supernet
from anas_zoo.progress import Bar
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import make_sampler
from anas_zoo.training.step import StepReport, train_step

__all__ = ["EpochReport", "train_supernet"]


@dataclass(frozen=True)
class EpochReport:
    """Means over one epoch; ``acceptance_pct`` is that of the conditional draws so far."""

    epoch: int
    steps: int
    learning_rate: float
    largest_loss: float
    sampled_loss: float
    smallest_loss: float
    acceptance_pct: float | None
    images_per_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a metrics file; a mean that does not exist is null."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }


def learning_rate_factor(epoch: float, recipe: TrainRecipe) -> float:
    """Share of the rate at a (fractional) epoch: linear warm-up, then cosine to zero."""
    if epoch < recipe.warmup_epochs:
        return recipe.warmup_factor + (1 - recipe.warmup_factor) * epoch / recipe.warmup_epochs
    done = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def make_optimizer(supernet: nn.Module, recipe: TrainRecipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on convolution and linear weights only."""
    decayed = [p for p in supernet.parameters() if p.ndim > 1]
    others = [p for p in supernet.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
    )


def train_supernet(
    supernet: Supernet,
    images: TrainImages,
    recipe: TrainRecipe,
    *,
    seed: int,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> None:
    """Train ``supernet`` in place; every random choice follows from ``seed``.

    ``on_epoch`` receives the report of each finished epoch.
    Raises :class:`anas_zoo.errors.TrainingError` when a loss is not finite.
    """
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    sampler = make_sampler(supernet.space, recipe.sampling, rng)
    optimizer = make_optimizer(supernet, recipe)
    # On CPU and GPU alike, small depthwise networks run faster with channels innermost.
    supernet.to(memory_format=torch.channels_last)
    per_epoch = images.batches_per_epoch(recipe.batch_size)
    with Bar("train", total=recipe.epochs * per_epoch) as bar:
        for epoch in range(recipe.epochs):
            reports: list[StepReport] = []
            started, seen = time.perf_counter(), 0
            for batch, labels in images.batches(recipe.batch_size, generator):
                factor = learning_rate_factor(epoch + len(reports) / per_epoch, recipe)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * factor
                affine = draw_affine(recipe.augmentation, len(batch), generator)
                views: dict[int, torch.Tensor] = {}

                def view(
                    resolution: int,
                    batch: torch.Tensor = batch,
                    affine: torch.Tensor = affine,
                    views: dict[int, torch.Tensor] = views,
                ) -> torch.Tensor:
                    if resolution not in views:
                        rendered = augment(batch, affine, resolution)
                        views[resolution] = rendered.contiguous(memory_format=torch.channels_last)
                    return views[resolution]

                optimizer.zero_grad(set_to_none=True)
                report = train_step(supernet, view, labels, recipe, sampler, rng, generator)
                nn.utils.clip_grad_value_(supernet.parameters(), recipe.clip_value)
                optimizer.step()
                reports.append(report)
                seen += len(batch)
                bar.advance()
            losses = {
                kind: float(np.mean([getattr(report, f"{kind}_loss") for report in reports]))
                for kind in ("largest", "sampled", "smallest")
            }
            bar.describe(f"train: loss {losses['largest']:.2f}, smallest {losses['smallest']:.2f}")
            on_epoch(
                EpochReport(
                    epoch=epoch + 1,
                    steps=len(reports),
                    learning_rate=optimizer.param_groups[0]["lr"],
                    largest_loss=losses["largest"],
                    sampled_loss=losses["sampled"],
                    smallest_loss=losses["smallest"],
                    acceptance_pct=sampler.acceptance_pct(),
                    images_per_s=seen / (time.perf_counter() - started),
                )
            )
