"""One training step of a supernet or a fixed network: gradients added up, synchronised once, checked."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from anas_zoo.core.errors import TrainingError
from anas_zoo.data.batches import DROPOUT, Batch, seeded
from anas_zoo.nets import Subnet, Supernet
from anas_zoo.nets.fake_quantization import fake_quantized
from anas_zoo.space import AccuracyPredictor, Architecture
from anas_zoo.training.losses import distillation_loss, label_loss, size_weights
from anas_zoo.training.processes import Processes
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import Draw, Moment, Quality, Sampler

# Of the loss of a fixed network that has a teacher; the rest is that of the labels.
TEACHER_SHARE = 0.5


class DivergedError(TrainingError):
    """A loss or a gradient that is not finite; no weight has changed."""


@dataclass(frozen=True)
class StepReport:
    """What one step saw: the mean loss of each kind of subnet over all processes, and the subnets.

    ``forwards`` are passes forward of each image, trials without gradient included; of trials on a part of
    the images, that part.
    """

    losses: dict[str, float]
    draws: tuple[Draw, ...]
    forwards: float


class SupernetStep:
    """Leaves in ``.grad`` of the supernet's parameters the gradient of one step; the caller applies it.

    1. The largest subnet, if the strategy trains it, learns from the labels, with label smoothing, dropout
       and drop-connect.
    2. The others learn from its soft predictions of this very step (in-place distillation), or from the
       labels where there is no teacher, without dropout.

    A ``predictor`` says the quality of candidates instead of their loss on this batch.
    """

    def __init__(
        self,
        supernet: Supernet,
        recipe: TrainRecipe,
        sampler: Sampler,
        processes: Processes,
        predictor: AccuracyPredictor | None = None,
    ) -> None:
        self.model: nn.Module = supernet
        self.sampler = sampler
        self._supernet, self._recipe, self._processes = supernet, recipe, processes
        self._predictor = predictor
        self._trials = 0.0

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Moment) -> StepReport:
        """Train on this process' micro-batches; ``numbers`` are theirs within the step.

        Raises :class:`DivergedError` before any weight has changed.
        """
        self._trials = 0.0
        draws = self.sampler.draw(moment, lambda archs: self._quality(archs, batches))
        teacher: list[Tensor] | None = None
        losses = []
        for draw, weight in zip(draws, self._weights(draws, moment), strict=True):
            loss, logits = self._train(draw, weight, batches, numbers, moment, teacher)
            if draw.kind == "largest" and self._recipe.distillation.loss != "none":
                teacher = logits
            losses.append(loss)
        found, norm = synchronise(self.model, torch.stack(losses), self._processes)
        values = found.tolist()
        kinds = [draw.kind for draw in draws]
        for kind, value in zip(kinds, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(f"the loss of the {kind} subnet became {value}")
        self.sampler.learn(draws, values, float(norm))
        means: dict[str, float] = {
            kind: statistics.fmean(v for k, v in zip(kinds, values, strict=True) if k == kind)
            for kind in kinds
        }
        return StepReport(means, tuple(draws), len(draws) + self._trials)

    def _weights(self, draws: Sequence[Draw], moment: Moment) -> list[float]:
        """What each draw's loss is multiplied with before its gradient is added."""
        recipe, space = self._recipe.size_weights, self._supernet.space
        if recipe is None:
            return [1.0] * len(draws)
        archs = [space.smallest, space.largest, *(draw.arch for draw in draws)]
        sizes = np.log(space.params(archs, self._supernet.num_classes).astype(float))
        places = (sizes[2:] - sizes[0]) / max(sizes[1] - sizes[0], 1e-9)
        return size_weights(places.tolist(), moment.step / moment.total, recipe)

    def _train(
        self,
        draw: Draw,
        weight: float,
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
                generator = seeded(*moment.seed, DROPOUT, moment.step, number, device=self._processes.device)
                drops = {
                    "drop_rate": recipe.drop_rate,
                    "drop_path_rate": recipe.drop_path_rate,
                    "generator": generator,
                }
            with _autocast(self._recipe, self._processes.device):
                found = self._supernet(batch.view(arch.resolution), arch, **drops)
            if teacher is not None and not largest:
                loss = distillation_loss(found, teacher[place], recipe.distillation)
            else:
                loss = label_loss(found, batch.labels, recipe.label_smoothing)
            (weight * loss / len(batches)).backward()
            losses.append(loss.detach())
            logits.append(found.detach())
        return torch.stack(losses).mean(), logits

    @torch.no_grad()
    def _quality(self, archs: Sequence[Architecture], batches: Sequence[Batch]) -> list[float]:
        if self._predictor is not None:
            return [float(value) for value in self._predictor(archs)]
        part = self._recipe.sampling.trial_part
        self._trials += part * len(archs)
        scores = []
        for arch in archs:
            # The paper's best estimate: the negative loss on the current mini-batch, without gradient; a part
            # of it costs that part.
            parts = []
            for batch in batches:
                tried = max(2, round(part * len(batch.labels)))  # batch norm needs two
                with _autocast(self._recipe, self._processes.device):
                    logits = self._supernet(batch.view(arch.resolution)[:tried], arch)
                parts.append(-label_loss(logits, batch.labels[:tried], 0.0))
            scores.append(torch.stack(parts).mean())
        # Every process must train the same subnets.
        return self._processes.mean_(torch.stack(scores)).tolist()


class _Nothing(Sampler):
    """The strategy of a fixed network: there is no subnet to draw."""

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        """Nothing."""
        return []


class FixedStep:
    """Leaves in ``.grad`` of a fixed network's parameters the gradient of one step; the caller applies it.

    The network learns from the labels, with label smoothing and whatever dropout and drop-connect it was made
    with; with a ``teacher``, a calibrated network on the same device, half of its loss is what the recipe's
    distillation says, on the teacher's soft predictions of the same views. Batch norm uses the statistics of
    the micro-batch; the running ones, which this moves, have to be measured anew
    (:func:`anas_zoo.nets.calibrate_bn`). With ``frozen_norms`` it uses the running ones, which stay. With
    ``qat`` the network computes as its int8 file will (:mod:`anas_zoo.nets.fake_quantization`).
    """

    def __init__(
        self,
        subnet: Subnet,
        recipe: TrainRecipe,
        processes: Processes,
        teacher: Subnet | None = None,
        *,
        frozen_norms: bool = False,
        qat: bool = False,
    ) -> None:
        self.model: nn.Module = subnet
        self._arithmetic = (lambda: fake_quantized(subnet)) if qat else contextlib.nullcontext
        self.sampler: Sampler = _Nothing()
        self._resolution = subnet.arch.resolution
        self._recipe, self._processes = recipe, processes
        self._frozen_norms = frozen_norms
        self._teacher = None if teacher is None or recipe.distillation.loss == "none" else teacher.eval()

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Moment) -> StepReport:
        """Train on this process' micro-batches; ``numbers`` are theirs within the step.

        Raises :class:`DivergedError` before any weight has changed.
        """
        recipe, device = self._recipe, self._processes.device
        self.model.train()
        if self._frozen_norms:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        losses = []
        for batch, number in zip(batches, numbers, strict=True):
            drops = seeded(*moment.seed, DROPOUT, moment.step, number).initial_seed()
            with self._arithmetic():
                with _global_generators(drops, device), _autocast(recipe, device):
                    logits = self.model(batch.view(self._resolution))
                loss = label_loss(logits, batch.labels, recipe.label_smoothing)
                if self._teacher is not None:
                    taught = distillation_loss(logits, self._taught(batch), recipe.distillation)
                    loss = (1 - TEACHER_SHARE) * loss + TEACHER_SHARE * taught
                (loss / len(batches)).backward()
            losses.append(loss.detach())
        found, _ = synchronise(self.model, torch.stack(losses).mean().reshape(1), self._processes)
        value = found.item()
        if not math.isfinite(value):
            raise DivergedError(f"the loss became {value}")
        return StepReport({"subnet": value}, (), 1)

    @torch.no_grad()
    def _taught(self, batch: Batch) -> Tensor:
        """The teacher's logits, at its own resolution."""
        assert self._teacher is not None
        with _autocast(self._recipe, self._processes.device):
            return self._teacher(batch.view(self._teacher.arch.resolution))  # type: ignore[no-any-return]


@contextlib.contextmanager
def _global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators, from which the layers of a fixed network draw; put them back after."""
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


def _autocast(recipe: TrainRecipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")


def synchronise(model: nn.Module, losses: Tensor, processes: Processes) -> tuple[Tensor, Tensor]:
    """Average gradients and ``losses`` (n,) over all processes, in one exchange.

    Returns the losses and the norm of the gradient of all parameters.

    Raises :class:`DivergedError` when a gradient is not finite in any process.
    """
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if processes.count > 1:
        flat = processes.mean_(torch.cat([losses, *(g.reshape(-1) for g in gradients)]))
        losses, *parts = flat.split([len(losses), *(g.numel() for g in gradients)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
    norms = torch.stack(torch._foreach_norm(gradients))
    if bool(torch.isfinite(losses).all()) and not bool(torch.isfinite(norms).all()):
        raise DivergedError("a gradient became infinite or NaN")
    return losses, norms.norm()
