"""One training step: the sampled subnets' gradients, added up, synchronised once and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anas_zoo.core.errors import TrainingError
from anas_zoo.data.batches import DROPOUT, Batch, seeded
from anas_zoo.nets import Supernet
from anas_zoo.space import AccuracyPredictor, Architecture
from anas_zoo.training.losses import distillation_loss, label_loss
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import Draw, Moment, Sampler
from anas_zoo.training.workers import Workers

__all__ = ["NonFiniteError", "StepReport", "SupernetStep", "synchronise"]


class NonFiniteError(TrainingError):
    """A loss or a gradient that is no finite number; no weight has changed."""


@dataclass(frozen=True)
class StepReport:
    """What one step saw.

    Attributes:
        losses: mean loss of each kind of subnet that was trained, over all processes.
        draws: the subnets.
        forwards: passes forward, trials without gradient included, of each image.
    """

    losses: dict[str, float]
    draws: tuple[Draw, ...]
    forwards: int


class SupernetStep:
    """Leaves in ``.grad`` of the supernet's parameters the gradient of one step; the caller applies it.

    1. The largest subnet, if the strategy trains it, learns from the labels, with label smoothing, dropout
       and drop-connect.
    2. The others learn from its soft predictions of this very step (in-place distillation), or from the
       labels where there is no teacher, without dropout.

    Args:
        supernet: on the device of ``workers``.
        recipe: losses, precision and dropout.
        sampler: which subnets.
        workers: the processes that train together.
        predictor: says the quality of candidates instead of their loss on this batch.
    """

    def __init__(
        self,
        supernet: Supernet,
        recipe: TrainRecipe,
        sampler: Sampler,
        workers: Workers,
        predictor: AccuracyPredictor | None = None,
    ) -> None:
        self.model: nn.Module = supernet
        self.sampler = sampler
        self._supernet, self._recipe, self._workers = supernet, recipe, workers
        self._predictor = predictor
        self._trials = 0

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Moment) -> StepReport:
        """Train on this process' micro-batches; ``numbers`` are theirs within the step.

        Raises :class:`NonFiniteError` before any weight has changed.
        """
        self._trials = 0
        draws = self.sampler.draw(moment, lambda archs: self._quality(archs, batches))
        teacher: list[Tensor] | None = None
        losses = []
        for draw in draws:
            loss, logits = self._train(draw, batches, numbers, moment, teacher)
            if draw.kind == "largest" and self._recipe.distillation.loss != "none":
                teacher = logits
            losses.append(loss)
        values = synchronise(self.model, torch.stack(losses), self._workers).tolist()
        kinds = [draw.kind for draw in draws]
        for kind, value in zip(kinds, values, strict=True):
            if not math.isfinite(value):
                raise NonFiniteError(f"the loss of the {kind} subnet became {value}")
        means: dict[str, float] = {
            kind: _mean(v for k, v in zip(kinds, values, strict=True) if k == kind) for kind in kinds
        }
        return StepReport(means, tuple(draws), len(draws) + self._trials)

    def _train(
        self,
        draw: Draw,
        batches: Sequence[Batch],
        numbers: Sequence[int],
        moment: Moment,
        teacher: list[Tensor] | None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Mean loss and the logits of one subnet; its gradient is added to what is there."""
        recipe, arch = self._recipe, draw.arch
        largest = draw.kind == "largest"
        losses, logits = [], []
        for place, (batch, number) in enumerate(zip(batches, numbers, strict=True)):
            drops = {}
            if largest and (recipe.drop_rate or recipe.drop_path_rate):
                generator = seeded(*moment.seed, DROPOUT, moment.step, number, device=self._workers.device)
                drops = {
                    "drop_rate": recipe.drop_rate,
                    "drop_path_rate": recipe.drop_path_rate,
                    "generator": generator,
                }
            with self._autocast():
                found = self._supernet(batch.view(arch.resolution), arch, **drops)
            if teacher is not None and not largest:
                loss = distillation_loss(found, teacher[place], recipe.distillation)
            else:
                loss = label_loss(found, batch.labels, recipe.label_smoothing)
            (loss / len(batches)).backward()
            losses.append(loss.detach())
            logits.append(found.detach())
        return torch.stack(losses).mean(), logits

    @torch.no_grad()
    def _quality(self, archs: Sequence[Architecture], batches: Sequence[Batch]) -> list[float]:
        if self._predictor is not None:
            return [float(value) for value in self._predictor(archs)]
        self._trials += len(archs)
        scores = []
        for arch in archs:
            # The paper's best estimate: the negative loss on the current mini-batch, without gradient.
            parts = []
            for batch in batches:
                with self._autocast():
                    logits = self._supernet(batch.view(arch.resolution), arch)
                parts.append(-label_loss(logits, batch.labels, 0.0))
            scores.append(torch.stack(parts).mean())
        # Every process must train the same subnets.
        return self._workers.mean_(torch.stack(scores)).tolist()

    def _autocast(self) -> torch.autocast:
        enabled = self._recipe.precision == "bf16"
        return torch.autocast(self._workers.device.type, torch.bfloat16, enabled=enabled)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def synchronise(model: nn.Module, losses: Tensor, workers: Workers) -> Tensor:
    """Average gradients and ``losses`` (n,) over all processes, in one exchange; returns the losses.

    Raises :class:`NonFiniteError` when a gradient is not finite in any process.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if workers.count > 1:
        flat = workers.mean_(torch.cat([losses, *(g.reshape(-1) for g in gradients)]))
        losses, *parts = flat.split([len(losses), *(g.numel() for g in gradients)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
    norms = torch.stack(torch._foreach_norm(gradients))
    if bool(torch.isfinite(losses).all()) and not bool(torch.isfinite(norms).all()):
        raise NonFiniteError("a gradient became infinite or no number")
    return losses
