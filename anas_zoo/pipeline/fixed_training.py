"""Training of one fixed network on the images of a run, from whatever weights it has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets import Subnet, calibrate_bn, logits_of, top1_pct
from anas_zoo.nets.temperature import divide_logits, fitted_temperature
from anas_zoo.pipeline.run_folder import RunFolder
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.space import Architecture
from anas_zoo.space.structure import Structure
from anas_zoo.training import Processes, Trainer, TrainRecipe
from anas_zoo.training.checkpoint import CHECKPOINTS, CheckpointFolder
from anas_zoo.training.optimizer import make_optimizer
from anas_zoo.training.step import FixedStep


def train_fixed(
    run: RunFolder[Any],
    subnet: Subnet,
    recipe: TrainRecipe,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    calibration_batch_size: int,
    teacher: Subnet | None = None,
    processes: Processes = HERE,
    watched: bool = True,
    frozen_norms: bool = False,
    qat: bool = False,
) -> None:
    """Train ``subnet`` in place on the run's training split; afterwards it has to be calibrated.

    A training that was stopped resumes with the latest checkpoint in ``folder``; a finished one only loads
    its weights.

    Args:
        run: whose images are trained on, and scored on while training.
        subnet: on the device of ``processes``, with its channels innermost.
        recipe: of the training.
        folder: of the training: checkpoints and metrics.
        identity: what says from which weights and for what it is trained.
        calibration_batch_size: images per batch of the calibrations before scoring.
        teacher: whose predictions it learns beside the labels; calibrated, on the same device.
        processes: that train together.
        watched: whether it is scored on the search split while it is trained.
        frozen_norms: whether its batch norms keep their statistics; then it needs no calibration.
        qat: whether it computes as its int8 file will while it is trained.

    Raises as :meth:`anas_zoo.training.Trainer.run` does.
    """
    Trainer(
        FixedStep(subnet, recipe, processes, teacher, frozen_norms=frozen_norms, qat=qat),
        open_train_data(run, processes, resolution=_largest(subnet, teacher), recipe=recipe),
        recipe,
        seed=run.recipe.seed,
        folder=folder,
        identity=_identity(run, recipe, identity),
        processes=processes,
        evaluate=_evaluator(run, subnet, recipe, None if frozen_norms else calibration_batch_size)
        if watched
        else None,
    ).run()


def load_trained(
    run: RunFolder[Any], subnet: Subnet, recipe: TrainRecipe, *, folder: Path, identity: Mapping[str, Any]
) -> None:
    """Give ``subnet`` the weights that :func:`train_fixed` with these arguments has ended with.

    No image is read. Raises :class:`CheckpointError` where the training in ``folder`` is another one.
    """
    checkpoints = CheckpointFolder(folder / CHECKPOINTS, _identity(run, recipe, identity), keep=1)
    if checkpoints.load_latest(subnet, make_optimizer(subnet, recipe)) is None:
        raise CheckpointError(f"{folder} has no checkpoint")


def _identity(run: RunFolder[Any], recipe: TrainRecipe, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint of this training has to have in common with it."""
    own = {"seed": run.recipe.seed, "split_sha256": run.split_sha256}
    return {**identity, **own, "train": recipe.model_dump(mode="json")}


def _largest(subnet: Subnet, teacher: Subnet | None) -> int:
    """The largest resolution that is looked at."""
    return max(one.arch.resolution for one in (subnet, teacher) if one is not None)


def _evaluator(
    run: RunFolder[Any], subnet: Subnet, recipe: TrainRecipe, batch_size: int | None
) -> Callable[[], Mapping[str, float]]:
    """Accuracy on the search split of a copy, calibrated in batches of ``batch_size``; None: as it is."""
    wanted = recipe.evaluation
    images = run.scoring_images(wanted.images)

    def accuracy() -> dict[str, float]:
        network = copy.deepcopy(subnet).eval()
        if batch_size is not None:
            calibrated_on(network, run, wanted.calibration_images, batch_size)
        return {"subnet": top1_pct(logits_of(network, images(subnet.arch.resolution)), images.labels)}

    return accuracy


def calibrated_on(subnet: Subnet, run: RunFolder[Any], images: int, batch_size: int) -> Subnet:
    """``subnet`` itself, calibrated on that many training images of the run."""
    calibration = run.training_images(images)(subnet.arch.resolution)
    calibrate_bn(subnet, calibration.split(batch_size))
    return subnet


def search_split_top1_pct(run: RunFolder[Any], subnet: Subnet) -> float:
    """Accuracy of a calibrated network on all images of the search split."""
    images = run.scoring_images(None)
    return top1_pct(logits_of(subnet, images(subnet.arch.resolution)), images.labels)


def tempered(run: RunFolder[Any], subnet: Subnet) -> str:
    """Give the calibrated ``subnet`` the temperature that fits the search split best; returns that in words.

    Its probabilities are then as high as it is often right; which class is first stays as it is.
    """
    images = run.scoring_images(None)
    temperature = fitted_temperature(logits_of(subnet, images(subnet.arch.resolution)), images.labels)
    divide_logits(subnet, temperature)
    return f"temperature {temperature:.3f}, fitted on the search split"


def drawn(run: RunFolder[Any], arch: Architecture, structure: Structure, device: torch.device) -> Subnet:
    """A network for the run's classes with weights drawn from its seed, as :func:`innermost` leaves it."""
    with torch.random.fork_rng(devices=[]):  # a fixed network is drawn from the global generator
        torch.default_generator.manual_seed(run.recipe.seed)
        subnet = Subnet(arch, structure, num_classes=len(run.source.label_names))
    return innermost(subnet, device)


def innermost(subnet: Subnet, device: torch.device) -> Subnet:
    """``subnet`` itself on ``device`` with channels innermost, as training runs fastest."""
    return subnet.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
