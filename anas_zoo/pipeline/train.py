"""Stage: the split and the images -> a trained supernet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from anas_zoo.core.files import canonical_json, output_folder, sha256_bytes
from anas_zoo.core.progress import note
from anas_zoo.data import MemoryImages, Share, StreamedImages, TrainData, balanced_choice
from anas_zoo.data.unreadable import readable
from anas_zoo.nets import Supernet, save_supernet
from anas_zoo.pipeline.images_at import CALIBRATION, SCORING, ImagesAt
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import RunFolder
from anas_zoo.pipeline.training_picture import draw_training
from anas_zoo.searching import SubnetEvaluator
from anas_zoo.training import (
    Processes,
    SupernetStep,
    Trainer,
    TrainRecipe,
    make_sampler,
    read_metrics,
)
from anas_zoo.training.metrics import FILE as METRICS

__all__ = ["HERE", "open_train_data", "train_stage"]

# What a view shows has this many times the pixels of the largest resolution, so that a zoom stays sharp.
MARGIN = 1.15
HERE = Processes(torch.device("cpu"))


def open_train_data(run: RunFolder[Any], processes: Processes, *, resolution: int) -> TrainData:
    """The training split as ``run``'s recipe serves it, for networks of up to ``resolution``.

    Raises :class:`DataError` for images that cannot be served.
    """
    recipe: TrainRecipe = run.recipe.train
    source, train = run.source, run.split.train
    share = Share(recipe.batch_size, processes.count, processes.rank, recipe.accumulation)
    if recipe.loader == "stream":
        return StreamedImages(
            source,
            train,
            recipe.stream,
            share=share,
            device=processes.device,
            max_unreadable=recipe.max_unreadable_images,
        )
    return MemoryImages(
        source,
        train,
        side=round(resolution * MARGIN / source.preprocessing.visible(resolution)),
        share=share,
        augmentation=recipe.augmentation,
        device=processes.device,
        max_unreadable=recipe.max_unreadable_images,
    )


def train_stage(run: Run, processes: Processes = HERE, *, about: str | None = None) -> None:
    """Train the supernet on the training split into ``RUN/supernet``, from the latest checkpoint if any.

    Every process of ``processes`` calls this; the first one writes. ``about`` is said when everything has
    proved right and training begins. Raises as :meth:`anas_zoo.training.Trainer.run` does.
    """
    recipe, split = run.recipe, run.split
    run.use_threads()
    data = open_train_data(run, processes, resolution=run.space.largest.resolution)
    generator = torch.Generator().manual_seed(recipe.seed)
    supernet = Supernet(run.space, len(run.source.label_names), generator=generator)
    supernet.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.train.sync_batch_norm and processes.count > 1:
        supernet.share_batch_statistics(processes.differentiable_mean)
    sampler, predictor = make_sampler(run.space, _with_places(run))
    split_sha256 = sha256_bytes(canonical_json(split.model_dump(mode="json")).encode())
    trainer = Trainer(
        SupernetStep(supernet, recipe.train, sampler, processes, predictor),
        data,
        recipe.train,
        seed=recipe.seed,
        folder=run.training_folder,
        identity={
            "seed": recipe.seed,
            "space": run.space.to_dict(),
            "split_sha256": split_sha256,
            "train": recipe.train.model_dump(mode="json"),
        },
        processes=processes,
        evaluate=_evaluator(run, supernet),
    )
    if about is not None:
        note(about)
    trainer.run()
    if not processes.first:
        return
    with output_folder(run.supernet_folder) as staging:
        shutil.copyfile(run.training_folder / METRICS, staging / METRICS)
        draw_training(staging / "training.png", read_metrics(run.training_folder), title=recipe.name)
        save_supernet(
            staging / run.supernet_file.name,
            supernet,
            {
                "recipe_sha256": sha256_bytes(canonical_json(recipe.to_dict()).encode()),
                "split_sha256": split_sha256,
            },
        )


def _with_places(run: Run) -> TrainRecipe:
    """The recipe of the training, its predictor as it is found from here."""
    train = run.recipe.train
    file = train.sampling.predictor
    if file is None:
        return train
    sampling = train.sampling.model_copy(update={"predictor": run.places.file(file)})
    return train.model_copy(update={"sampling": sampling})


def _evaluator(run: Run, supernet: Supernet) -> Callable[[], Mapping[str, float]]:
    """Accuracy on the search split of the smallest, the largest and a few fixed subnets, calibrated."""
    recipe, split = run.recipe.train.evaluation, run.split
    labels, seed = run.source.labels, run.recipe.seed
    calibrated_on = balanced_choice(split.train, labels, recipe.calibration_images, [seed, CALIBRATION])
    scored = balanced_choice(split.search, labels, recipe.images, [seed, SCORING])
    calibration = ImagesAt(run.source, readable(run.source, calibrated_on))
    images = ImagesAt(run.source, scored)
    evaluator = SubnetEvaluator(
        supernet,
        calibration=calibration,
        calibration_images=len(calibration.labels),
        images=images,
        labels=images.labels,
        batch_size=run.recipe.search.calibration_batch_size,
    )
    space = run.space
    rng = np.random.default_rng([run.recipe.seed, 3])
    sampled = space.decode(space.sample_codes(rng, recipe.sampled))

    def accuracies() -> dict[str, float]:
        drawn = [evaluator.top1_pct(arch) for arch in sampled]
        return {
            "smallest": evaluator.top1_pct(space.smallest),
            "sampled": sum(drawn) / len(drawn),
            "largest": evaluator.top1_pct(space.largest),
        }

    return accuracies
