"""May images be flipped? A plain network that is trained without flips for a moment tells."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from anas_zoo.core.files import write_json
from anas_zoo.core.progress import note
from anas_zoo.nets import logits_of
from anas_zoo.pipeline.fixed_training import calibrated_on, train_fixed
from anas_zoo.pipeline.flips import FlipTrial, why_not_flipped
from anas_zoo.pipeline.minutes import epochs_within, seconds_per_epoch
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.pipeline.yardstick import drawn_plain_network, plain_training
from anas_zoo.training import Processes
from anas_zoo.training.step import FixedStep

EPOCHS = 8  # in a run that has no minutes to divide


def try_flips(run: Run, seconds: float | None, processes: Processes = HERE) -> None:
    """Train the plain network without flips, look at flipped images, and write ``RUN/flips.json``.

    Flips are used where that network classifies flipped images of the search split about as well as the
    images themselves: they spoil letters and digits. Whether to augment at all is not tried: a training
    this short ends before it overfits, and so prefers images as they are.

    Args:
        run: whose images are tried.
        seconds: for the training; None for a few epochs.
        processes: where it computes.
    """
    run.use_threads()
    recipe = plain_training(run)
    unflipped = recipe.augmentation.model_copy(update={"flip": False})
    recipe = recipe.model_copy(update={"augmentation": unflipped})
    subnet = drawn_plain_network(run, processes)
    resolution = subnet.arch.resolution
    data = open_train_data(run, processes, resolution=resolution, recipe=recipe)
    epoch_s = seconds_per_epoch(FixedStep(subnet, recipe, processes), data, recipe, run.recipe.seed)
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
    calibrated_on(subnet, run, run.recipe.search.calibration_images, batch_size)
    images = run.scoring_images(None)
    labels, views = torch.as_tensor(images.labels), images(resolution)
    right = (logits_of(subnet, views).argmax(1) == labels).numpy()
    flipped_right = (logits_of(subnet, views.flip(3)).argmax(1) == labels).numpy()
    found = FlipTrial(
        top1_pct=100.0 * float(right.mean()),
        flipped_top1_pct=100.0 * float(flipped_right.mean()),
        why_not=why_not_flipped(right, flipped_right, labels.numpy(), len(run.source.label_names)),
    )
    note(f"  {found.describe()}")
    write_json(run.flips_file, found.model_dump(mode="json"))
