"""One training step of a single fixed network: its label loss, and nothing to choose."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from anas_zoo.data.batches import DROPOUT, Batch, seeded
from anas_zoo.nets import Subnet
from anas_zoo.training.losses import label_loss
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import Countless, Draw, Moment, Quality, Sampler
from anas_zoo.training.step import NonFiniteError, StepReport, synchronise
from anas_zoo.training.workers import Workers

__all__ = ["FixedStep"]


class _Nothing(Countless):
    """The strategy of a fixed network: there is no subnet to draw."""

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """Nothing."""
        return []


class FixedStep:
    """Leaves in ``.grad`` of a fixed network's parameters the gradient of one step; the caller applies it.

    The network learns from the labels, with label smoothing and whatever dropout and drop-connect it was made
    with. Batch norm uses the statistics of the micro-batch; the running ones, which this moves, have to be
    measured anew (:func:`anas_zoo.nets.calibrate_bn`).

    Args:
        subnet: on the device of ``workers``.
        recipe: loss and precision.
        workers: the processes that train together.
    """

    def __init__(self, subnet: Subnet, recipe: TrainRecipe, workers: Workers) -> None:
        self.model: nn.Module = subnet
        self.sampler: Sampler = _Nothing()
        self._resolution = subnet.arch.resolution
        self._recipe, self._workers = recipe, workers

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Moment) -> StepReport:
        """Train on this process' micro-batches; ``numbers`` are theirs within the step.

        Raises :class:`NonFiniteError` before any weight has changed.
        """
        recipe, device = self._recipe, self._workers.device
        self.model.train()
        losses = []
        for batch, number in zip(batches, numbers, strict=True):
            drops = seeded(*moment.seed, DROPOUT, moment.step, number).initial_seed()
            with _global_generators(drops, device), self._autocast():
                logits = self.model(batch.view(self._resolution))
            loss = label_loss(logits, batch.labels, recipe.label_smoothing)
            (loss / len(batches)).backward()
            losses.append(loss.detach())
        value = synchronise(self.model, torch.stack(losses).mean().reshape(1), self._workers).item()
        if not math.isfinite(value):
            raise NonFiniteError(f"the loss became {value}")
        return StepReport({"subnet": value}, (), 1)

    def _autocast(self) -> torch.autocast:
        enabled = self._recipe.precision == "bf16"
        return torch.autocast(self._workers.device.type, torch.bfloat16, enabled=enabled)


@contextlib.contextmanager
def _global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, from which the layers of a fixed network draw; put them back after."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield
