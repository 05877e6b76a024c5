"""Stage: images and a recipe -> a trained supernet, in the folder of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anas_zoo.core.errors import OutputError
from anas_zoo.core.extras import skipped_without_extra
from anas_zoo.core.files import canonical_json, output_folder, sha256_bytes
from anas_zoo.core.hints import Call, Option, Part
from anas_zoo.core.progress import note, silence
from anas_zoo.core.text import quoted
from anas_zoo.data import ImageSource, MemoryImages, PartOfPasses, Share, StreamedImages, TrainData
from anas_zoo.nets import Supernet, load_supernet
from anas_zoo.nets.new_classifier import supernet_with_new_classifier
from anas_zoo.pipeline.minutes import Minutes, epochs_within, seconds_per_epoch
from anas_zoo.pipeline.recipe import Recipe, Settings, about_recipe, default_recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, resumable_run
from anas_zoo.pipeline.training_picture import draw_training
from anas_zoo.searching import SubnetEvaluator
from anas_zoo.training import (
    Processes,
    SupernetStep,
    Trainer,
    TrainRecipe,
    join_processes,
    make_sampler,
    read_metrics,
)
from anas_zoo.training.metrics import FILE as METRICS

# What a view shows has this many times the pixels of the largest resolution, so that a zoom stays sharp.
MARGIN = 1.15
HERE = Processes(torch.device("cpu"))


@dataclass(frozen=True)
class Trained:
    """What :func:`train` made.

    Attributes:
        run: the run's folder.
        supernet: the file of the trained weights.
    """

    run: Path
    supernet: Path


def train(
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    data: str | None = None,
    seed: int | None = None,
    sampling: str | None = None,
    set_: Settings | None = None,
    init: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
) -> Trained:
    """Split the images and train the supernet, into the folder of a new run.

    With ``init`` it is a trained supernet whose classifier is replaced by a new one for the images' classes.

    Started by torchrun, every process calls this and the first one writes.

    Args:
        out: the run's folder.
        recipe: a bundled recipe's name or a YAML file; by default the one for the images, with ``init``
            ``pretrained``.
        data: a source of images (see :func:`anas_zoo.data.open_source`); by default the recipe's.
        seed: every random choice follows from it.
        sampling: strategy by which subnets are drawn, such as ``bestup``.
        set_: other values of the recipe, such as ``{"train.epochs": 10}`` or ``["train.epochs=10"]``.
        init: a supernet to start from: a folder, a run, or ``hf-hub:org/name``. It is copied into the run.
        resume: continue from the latest checkpoint of the training in ``out``, if there is one.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises :class:`ConfigError` for a recipe that cannot be, :class:`DataError` for images that cannot be read
    or split, :class:`EntryError` for a supernet that cannot be had, :class:`OutputError` when ``out`` is
    taken, and :class:`TrainingError`.
    """
    out = Path(out)
    changes: dict[str, Any] = {"data": data, "seed": seed, "sampling": sampling, "settings": set_}
    changes["init"] = None if init is None else str(init)
    again = Call("train", out=out, resume=True)
    about: tuple[Part, ...] = ()
    with resumable_run(out, again, "supernet"), join_processes(device) as processes:
        if not processes.first:
            silence()
            processes.wait()  # the first process makes the folder
            run = Run.open(out)
        else:
            if resume and (out / MARKER).is_file():
                wanted = Run.recipe_for(out, None if recipe is None else str(recipe), **changes)
            else:
                name = recipe or default_recipe(data, set_, changes["init"])
                wanted = Recipe.load(name, **changes)
                about = () if recipe else about_recipe(str(name))
            Share(wanted.train.batch_size, processes.count, 0, wanted.train.accumulation).check()
            run = Run.start(out, wanted)
            if not resume:
                _refuse_begun(run, again)
            processes.wait()
        if not run.supernet_file.exists():  # a resumed job may have been finished before
            train_stage(run, processes, about=about)
    return Trained(out, run.supernet_file)


def _refuse_begun(run: Run, again: Call) -> None:
    if run.supernet_file.exists():
        raise OutputError(
            f"{run.folder} already holds a trained supernet; search it: ",
            Call("search", run.folder),
            "; or give another ",
            Option("out"),
        )
    if run.training_folder.exists():
        raise OutputError(
            f"{run.folder} holds a training that was stopped; resume it: ",
            again,
            f"; or begin anew after: rm -r {quoted(run.folder)}",
        )


def open_train_data(
    run: RunFolder[Any],
    processes: Processes,
    *,
    resolution: int,
    recipe: TrainRecipe | None = None,
    source: ImageSource | None = None,
) -> TrainData:
    """The training split as ``recipe``, by default ``run``'s, serves it for networks of up to ``resolution``.

    ``source`` are the run's images in another preprocessing than the run's.

    Raises :class:`DataError` for images that cannot be served.
    """
    recipe = recipe or run.training
    source, train = source or run.source, run.split.train
    share = Share(recipe.batch_size, processes.count, processes.rank, recipe.accumulation)
    data: TrainData
    if recipe.loader == "stream":
        data = StreamedImages(
            source,
            train,
            recipe.stream,
            share=share,
            device=processes.device,
            max_unreadable=recipe.max_unreadable_images,
        )
    else:
        data = MemoryImages(
            source,
            train,
            side=round(resolution * MARGIN / source.preprocessing.visible(resolution)),
            share=share,
            augmentation=recipe.augmentation,
            device=processes.device,
            max_unreadable=recipe.max_unreadable_images,
        )
    return data if recipe.epoch_part == 1 else PartOfPasses(data, recipe.epoch_part)


def train_stage(
    run: Run,
    processes: Processes = HERE,
    *,
    about: Sequence[Part] = (),
    note_images: bool = True,
    minutes: Minutes | None = None,
    others: int = 0,
) -> None:
    """Train the supernet on the training split into ``RUN/supernet``, from the latest checkpoint if any.

    Every process of ``processes`` calls this; the first one writes. When everything has proved right, notes
    say what the images are, unless ``note_images`` is off, and ``about``. With ``minutes`` it is trained for
    as many epochs as its share of them has, where so many ``others`` are trained beside it.

    Raises as :meth:`anas_zoo.training.Trainer.run` does.
    """
    recipe, train = run.recipe, run.training
    run.use_threads()
    data = open_train_data(run, processes, resolution=run.space.largest.resolution)
    supernet = _untrained(run)
    supernet.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.train.sync_batch_norm and processes.count > 1:
        supernet.share_batch_statistics(processes.differentiable_mean)
    sampler, predictor = make_sampler(run.space, run.located.train)
    step = SupernetStep(supernet, train, sampler, processes, predictor)
    if minutes is not None:
        train = _within(minutes, step, data, train, recipe.seed, others)
    identity: dict[str, Any] = {
        "seed": recipe.seed,
        "space": run.space.to_dict(),
        "split_sha256": run.split_sha256,
        "train": train.model_dump(mode="json"),
    }
    if run.init is not None:
        identity["init"] = run.init.model_dump(mode="json")
    trainer = Trainer(
        step,
        data,
        train,
        seed=recipe.seed,
        folder=run.training_folder,
        identity=identity,
        processes=processes,
        evaluate=_evaluator(run, supernet),
    )
    if note_images and processes.first:
        run.note_images()
    if about:
        note(*about)
    trainer.run()
    if not processes.first:
        return
    with output_folder(run.supernet_folder) as staging:
        shutil.copyfile(run.training_folder / METRICS, staging / METRICS)
        with skipped_without_extra("training.png"):
            draw_training(staging / "training.png", read_metrics(run.training_folder), title=recipe.name)
        run.write_supernet(staging, supernet, _how_trained(run, train))


def _within(
    minutes: Minutes, step: SupernetStep, data: TrainData, recipe: TrainRecipe, seed: int, others: int
) -> TrainRecipe:
    """The training ``recipe`` with as many epochs as its share of the time has, its own ones at most."""

    def measured() -> dict[str, float]:
        epoch_s = seconds_per_epoch(step, data, recipe, seed, beside=others)
        return {"epoch_s": epoch_s, "seconds": minutes.seconds_for("supernet")}

    found = minutes.decided("supernet", measured)
    epochs = min(recipe.epochs, found["seconds"] / found["epoch_s"])
    train = epochs_within(recipe, epochs=epochs, epoch_s=found["epoch_s"])
    note(f"  supernet: {train.epochs} epochs")
    return train


def _how_trained(run: Run, train: TrainRecipe) -> dict[str, Any]:
    """What supernet.json says of the training."""
    recipe, evaluated = (
        run.recipe,
        [r for r in read_metrics(run.training_folder) if r["kind"] == "evaluation"],
    )
    return {
        "recipe": recipe.name,
        "recipe_sha256": sha256_bytes(canonical_json(recipe.to_dict()).encode()),
        "split_sha256": run.split_sha256,
        "images": len(run.split.train),
        "epochs": train.epochs,
        "sampling": train.sampling.strategy,
        "search_split_top1_pct": dict(evaluated[-1]["top1_pct"]) if evaluated else None,
    }


def _untrained(run: Run) -> Supernet:
    """The supernet as the training begins: drawn, or that of the run's ``init`` with a new classifier."""
    generator = torch.Generator().manual_seed(run.recipe.seed)
    num_classes = len(run.source.label_names)
    if run.init is None:
        return Supernet(run.space, num_classes, generator=generator)
    trained = load_supernet(run.init_supernet)
    return supernet_with_new_classifier(trained, num_classes, generator=generator)


def _evaluator(run: Run, supernet: Supernet) -> Callable[[], Mapping[str, float]]:
    """Accuracy on the search split of the smallest, the largest and a few fixed subnets, calibrated."""
    recipe = run.recipe.train.evaluation
    calibration = run.training_images(recipe.calibration_images)
    images = run.scoring_images(recipe.images)
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
