"""The training loop: steps, checkpoints, evaluations, and the way back from a loss that is not finite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from anas_zoo.core.errors import DataError, TrainingError
from anas_zoo.core.progress import Bar, note
from anas_zoo.data import Batch, TrainData
from anas_zoo.training.checkpoint import CHECKPOINTS, CheckpointFolder, TrainState
from anas_zoo.training.metrics import Meter, MetricsWriter
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.processes import Processes
from anas_zoo.training.recipe import TrainRecipe
from anas_zoo.training.sampling import Moment, Sampler
from anas_zoo.training.step import DivergedError, StepReport

LONG_STEPS = 100  # a training of more steps is tried out first
DRY_STEPS = 2
SHORT = {"largest": "L", "sampled": "M", "smallest": "S"}  # kinds of subnets in the progress line


class Step(Protocol):
    """What one optimizer step computes; see :class:`anas_zoo.training.step.SupernetStep`.

    Attributes:
        model: whose parameters get gradients.
        sampler: whose state belongs to the training's.
    """

    model: nn.Module
    sampler: Sampler

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Moment) -> StepReport:
        """Leave the step's gradient in the model's parameters."""
        ...


class Trainer:
    """Trains ``step.model`` in place and keeps everything needed to continue in ``folder``.

    Args:
        data: this process' training images.
        seed: every random choice follows from it.
        folder: of this training: ``checkpoints/``, ``metrics.jsonl`` and ``tensorboard/``.
        identity: what a later call must have in common to continue this training.
        evaluate: accuracy in percent of named subnets; called in the first process only. None: not watched.
    """

    def __init__(
        self,
        step: Step,
        data: TrainData,
        recipe: TrainRecipe,
        *,
        seed: int,
        folder: Path,
        identity: Mapping[str, Any],
        processes: Processes,
        evaluate: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._step, self._data, self._recipe, self._seed = step, data, recipe, seed
        self._folder, self._processes, self._evaluate = folder, processes, evaluate
        self._optimizer = make_optimizer(step.model, recipe)
        self._checkpoints = CheckpointFolder(folder / CHECKPOINTS, identity, keep=recipe.checkpoints.keep)
        self._per_epoch = data.steps_per_epoch()
        if self._per_epoch < 1:
            raise DataError(f"fewer training images than one batch of {recipe.batch_size}")
        self._total = recipe.epochs * self._per_epoch
        self._state = TrainState()
        first = processes.rank * recipe.accumulation
        self._numbers = range(first, first + recipe.accumulation)

    def run(self) -> None:
        """Train to the end, from the latest checkpoint in the folder if there is one.

        Raises :class:`TrainingError` when the losses stay non-finite after every allowed return, the errors
        of the data, and those of a full disk; the last checkpoint stays as it is.
        """
        self._begin()
        writer = MetricsWriter(self._folder, after_step=self._state.step) if self._processes.first else None
        try:
            with Bar("train", total=self._total) as bar:
                bar.advance(self._state.step)
                while self._state.step < self._total:
                    try:
                        self._train_epoch(bar, writer)
                    except DivergedError as exc:
                        writer = self._roll_back(exc, bar, writer)
        finally:
            if writer is not None:
                writer.close()

    def _begin(self) -> None:
        """Continue, or try out and start."""
        if self._processes.first:
            self._checkpoints.tidy()
        found = self._checkpoints.load_latest(self._step.model, self._optimizer)
        self._processes.wait()  # all have looked before the first one writes
        if found is not None:
            self._take(found)
            if self._processes.first:
                note(f"  resumes after step {found.step} of {self._total}")
            return
        self._write()
        if self._total > LONG_STEPS:
            self._dry_run()
            self._restore()
        self._processes.wait()

    def _take(self, state: TrainState) -> None:
        self._state = state
        if state.counters:
            self._step.sampler.restore(state.counters)

    def _restore(self) -> None:
        """Back to the latest checkpoint."""
        self._processes.wait()  # the first process has written it
        found = self._checkpoints.load_latest(self._step.model, self._optimizer)
        if found is None:
            raise TrainingError(f"the checkpoints in {self._folder} have vanished during the training")
        self._take(found)

    def _moment(self) -> Moment:
        return Moment((self._seed, self._state.rollbacks), self._state.step, self._total)

    def _dry_run(self) -> None:
        """Two steps and one evaluation, so that what would stop a long training stops it now."""
        seed, before = self._moment().seed, self._step.sampler.state()
        for batches in itertools.islice(self._data.epoch(seed, 0), DRY_STEPS):
            self._one_step(batches)
        if self._processes.first and self._evaluate is not None:
            self._evaluate()
        self._step.sampler.restore(before)

    def _one_step(self, batches: Sequence[Batch]) -> tuple[StepReport, float]:
        """Gradients, clipping, and the optimizer at the schedule's rate; returns that rate too."""
        recipe, moment = self._recipe, self._moment()
        rate = recipe.learning_rate * learning_rate_factor(moment.step / self._per_epoch, recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["rate_factor"]
        self._optimizer.zero_grad(set_to_none=True)
        report = self._step(batches, self._numbers, moment)
        nn.utils.clip_grad_value_(self._step.model.parameters(), recipe.clip_value)
        self._optimizer.step()
        return report, rate

    def _train_epoch(self, bar: Bar, writer: MetricsWriter | None) -> None:
        """From where the state is to the end of its pass over the images."""
        state, recipe, meter = self._state, self._recipe, Meter()
        epoch, done = divmod(state.step, self._per_epoch)
        stream = self._data.epoch(self._moment().seed, epoch, first_step=done)
        for batches in meter.waiting(stream):
            report, rate = self._one_step(batches)
            images = sum(batch.images for batch in batches) * self._processes.count
            state.step += 1
            state.images += round(images * report.forwards)
            meter.count(report.losses, images)
            bar.advance()
            ends = state.step % self._per_epoch == 0
            if ends or state.step % recipe.log_every_steps == 0:
                self._report(meter, epoch, rate, bar, writer)
            every = recipe.checkpoints.every_steps
            if every is not None and state.step % every == 0 and not ends:
                self._write()
        self._end_epoch(epoch + 1, writer)

    def _report(self, meter: Meter, epoch: int, rate: float, bar: Bar, writer: MetricsWriter | None) -> None:
        found = meter.report() | {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "images_forwarded": self._state.images,
            "skipped_images": len(self._data.skipped()),
        }
        counters = self._step.sampler.state()
        if counters.get("tried"):
            found["acceptance_pct"] = 100.0 * counters["accepted"] / counters["tried"]
        # Short, for it shares one line with the bar, the step and the time left.
        losses = " ".join(f"{SHORT.get(kind, kind)} {value:.2f}" for kind, value in found["loss"].items())
        bar.describe(
            f"{losses} {found['images_per_s']:.0f} img/s rate {rate:.2g} wait {found['data_wait_pct']:.0f}%"
        )
        if writer is not None:
            writer.add("train", self._state.step, found)

    def _end_epoch(self, done: int, writer: MetricsWriter | None) -> None:
        recipe, last = self._recipe, self._state.step == self._total
        best = False
        if done % recipe.evaluation.every_epochs == 0 or last:
            best = self._watch(done, writer)
        if best or last or done % recipe.checkpoints.every_epochs == 0:
            self._write(best=best)

    def _watch(self, done: int, writer: MetricsWriter | None) -> bool:
        """Evaluate; returns whether this is the best so far. Only the first process knows."""
        if writer is None or self._evaluate is None:
            return False
        found = dict(self._evaluate())
        mean = sum(found.values()) / len(found)
        writer.add("evaluation", self._state.step, {"epoch": done, "top1_pct": found})
        text = ", ".join(f"{name} {value:.2f} %" for name, value in found.items())
        note(f"  epoch {done} of {self._recipe.epochs}, top-1 on the search split: {text}")
        if self._state.best is not None and mean <= self._state.best:
            return False
        self._state.best = mean
        return True

    def _write(self, *, best: bool = False) -> None:
        self._state.counters = self._step.sampler.state()
        if self._processes.first:
            self._checkpoints.save(self._step.model, self._optimizer, self._state, best=best)

    def _roll_back(self, exc: DivergedError, bar: Bar, writer: MetricsWriter | None) -> MetricsWriter | None:
        """Return to the latest checkpoint with other random draws, or give up."""
        failed, used = self._state.step, self._state.rollbacks
        limit = self._recipe.max_rollbacks
        if used >= limit:
            intact = self._checkpoints.steps()[-1]
            raise TrainingError(
                f"step {failed + 1}: {exc}, after {used} returns to an earlier checkpoint (max_rollbacks "
                f"{limit}); the checkpoint of step {intact} is intact; use a lower learning_rate or a "
                "longer warm-up"
            ) from exc
        self._restore()
        self._state.rollbacks = used + 1
        self._write()
        bar.advance(self._state.step - failed)
        if writer is None:
            return None
        writer.close()
        writer = MetricsWriter(self._folder, after_step=self._state.step)
        writer.add("rollback", self._state.step, {"failed_step": failed + 1, "reason": str(exc)})
        note(
            f"  step {failed + 1}: {exc}; back to step {self._state.step} with other draws "
            f"({used + 1} of at most {limit} returns)"
        )
        return writer


def learning_rate_factor(epoch: float, recipe: TrainRecipe) -> float:
    """Share of the rate at a (fractional) epoch: linear warm-up, then cosine to zero."""
    if epoch < recipe.warmup_epochs:
        return recipe.warmup_factor + (1 - recipe.warmup_factor) * epoch / recipe.warmup_epochs
    done = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
