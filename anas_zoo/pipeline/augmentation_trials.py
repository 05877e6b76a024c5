"""Which augmentation is safe for a run's images: short trials of the plain network on the search split."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from anas_zoo.core.files import write_json
from anas_zoo.core.progress import note
from anas_zoo.data import AugmentationRecipe
from anas_zoo.nets import logits_of
from anas_zoo.pipeline.fixed_training import calibrated_on, train_fixed
from anas_zoo.pipeline.minutes import epochs_within, seconds_per_step
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.pipeline.tried_augmentations import AugmentationTrials, Trial, candidates
from anas_zoo.pipeline.yardstick import drawn_plain_network
from anas_zoo.training import Processes
from anas_zoo.training.step import FixedStep

# Standard errors by which another augmentation has to be ahead of the recipe's, image by image.
CLEARLY = 2.0
EPOCHS = 8  # of a trial in a run that has no minutes to divide


def try_augmentations(run: Run, seconds: float | None, processes: Processes = HERE) -> None:
    """Train the plain network for a part of ``seconds`` on each, and write ``RUN/augmentation.json``.

    The recipe's stays unless another one has a clearly lower loss on the search split, image by image.
    """
    run.use_threads()
    wanted = candidates(run.recipe.train.augmentation)
    losses = {
        name: _losses(run, augmentation, None if seconds is None else seconds / len(wanted), processes)
        for name, augmentation in wanted.items()
    }
    first = losses[next(iter(losses))]
    trials = tuple(
        Trial(name=name, augmentation=wanted[name], loss=loss.mean().item(), gain=_gain(first, loss))
        for name, loss in losses.items()
    )
    chosen = max(trials, key=lambda trial: trial.gain)
    if chosen.gain < CLEARLY:
        chosen = trials[0]
    said = ", ".join(f"{trial.name} {trial.loss:.3f}" for trial in trials)
    note(f"  augmentation: loss of short trials on the search split: {said}; so {chosen.name}")
    found = AugmentationTrials(chosen=chosen.name, trials=trials)
    write_json(run.augmentation_file, found.model_dump(mode="json"))


def _gain(first: Tensor, other: Tensor) -> float:
    """How many standard errors ``other`` (N,) is lower than ``first`` (N,) on average."""
    lower = first - other
    error = lower.std().item() / math.sqrt(len(lower)) if len(lower) > 1 else 0.0
    return lower.mean().item() / error if error > 0 else 0.0


def _losses(
    run: Run, augmentation: AugmentationRecipe, seconds: float | None, processes: Processes
) -> Tensor:
    """Cross-entropy of each image of the search split, (N,), after a short training."""
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.recipe.train).model_copy(update={"augmentation": augmentation})
    subnet = drawn_plain_network(run, processes)
    data = open_train_data(run, processes, resolution=subnet.arch.resolution, recipe=recipe)
    epoch_s = seconds_per_step(FixedStep(subnet, recipe, processes), data, run.recipe.seed)
    epoch_s *= data.steps_per_epoch()
    recipe = epochs_within(recipe, epochs=EPOCHS if seconds is None else seconds / epoch_s, epoch_s=epoch_s)
    batch_size = run.recipe.search.calibration_batch_size
    with tempfile.TemporaryDirectory() as folder:
        train_fixed(
            run,
            subnet,
            recipe,
            folder=Path(folder),
            identity={},
            calibration_batch_size=batch_size,
            processes=processes,
            watched=False,
        )
    calibrated_on(subnet, run, run.recipe.search.calibration_images, batch_size)
    images = run.scoring_images(None)
    logits = logits_of(subnet, images(subnet.arch.resolution))
    return F.cross_entropy(logits.float(), torch.as_tensor(images.labels), reduction="none")
