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
from anas_zoo.nets import Subnet, logits_of
from anas_zoo.pipeline.fixed_training import calibrated_on, train_fixed
from anas_zoo.pipeline.minutes import epochs_within, seconds_per_step
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.pipeline.tried_augmentations import AugmentationTrials, Trial, why_not_flipped
from anas_zoo.pipeline.yardstick import drawn_plain_network
from anas_zoo.training import Processes
from anas_zoo.training.step import FixedStep

# Standard errors by which no change at all has to be ahead of the recipe's augmentation, image by image.
CLEARLY = 2.0
EPOCHS = 8  # of a trial in a run that has no minutes to divide


def try_augmentations(run: Run, seconds: float | None, processes: Processes = HERE) -> None:
    """Train the plain network briefly on each, look at flipped images, and write ``RUN/augmentation.json``.

    The recipe's augmentation stays unless unchanged images have a clearly lower loss on the search split,
    image by image. Flips join it where a network that was trained without them classifies flipped images of
    the search split about as well: they spoil letters and digits.

    Args:
        run: whose images are tried.
        seconds: for all of it; None for a few epochs each.
        processes: where it computes.
    """
    run.use_threads()
    own = run.recipe.train.augmentation
    wanted = [own.model_copy(update={"flip": False}), AugmentationRecipe()]
    each = None if seconds is None else seconds / len(wanted)
    images = run.scoring_images(None)
    labels = torch.as_tensor(images.labels)
    found = []
    for augmentation in wanted:
        subnet = _trained(run, augmentation, each, processes)
        views = images(subnet.arch.resolution)
        logits = logits_of(subnet, views)
        losses = F.cross_entropy(logits.float(), labels, reduction="none")
        found.append((augmentation, losses, logits, subnet, views))
    (_, first, *_), (_, second, *_) = found
    chosen = found[1] if _gain(first, second) > CLEARLY else found[0]
    augmentation, _, logits, subnet, views = chosen
    right = (logits.argmax(1) == labels).numpy()
    flipped_right = (logits_of(subnet, views.flip(3)).argmax(1) == labels).numpy()
    why = why_not_flipped(right, flipped_right, labels.numpy(), len(run.source.label_names))
    tried = AugmentationTrials(
        augmentation=augmentation.model_copy(update={"flip": why is None}),
        trials=tuple(Trial(augmentation=one, loss=losses.mean().item()) for one, losses, *_ in found),
        top1_pct=100.0 * float(right.mean()),
        flipped_top1_pct=100.0 * float(flipped_right.mean()),
        why_not_flipped=why,
    )
    note(f"  {tried.describe()}")
    write_json(run.augmentation_file, tried.model_dump(mode="json"))


def _gain(first: Tensor, other: Tensor) -> float:
    """How many standard errors ``other`` (N,) is lower than ``first`` (N,) on average."""
    lower = first - other
    error = lower.std().item() / math.sqrt(len(lower)) if len(lower) > 1 else 0.0
    return lower.mean().item() / error if error > 0 else 0.0


def _trained(
    run: Run, augmentation: AugmentationRecipe, seconds: float | None, processes: Processes
) -> Subnet:
    """The plain network after a short training, calibrated."""
    assert run.recipe.winners is not None
    recipe = run.recipe.winners.training(run.recipe.train).model_copy(update={"augmentation": augmentation})
    subnet = drawn_plain_network(run, processes)
    data = open_train_data(run, processes, resolution=subnet.arch.resolution, recipe=recipe)
    epoch_s = seconds_per_step(FixedStep(subnet, recipe, processes), data, run.recipe.seed)
    epoch_s *= data.steps_per_epoch()
    epochs = EPOCHS if seconds is None else seconds / epoch_s
    batch_size = run.recipe.search.calibration_batch_size
    with tempfile.TemporaryDirectory() as folder:
        train_fixed(
            run,
            subnet,
            epochs_within(recipe, epochs=epochs, epoch_s=epoch_s),
            folder=Path(folder),
            identity={},
            calibration_batch_size=batch_size,
            processes=processes,
            watched=False,
        )
    return calibrated_on(subnet, run, run.recipe.search.calibration_images, batch_size)
