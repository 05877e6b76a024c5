"""A published entry and other images -> the draft of an entry for their classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from anas_zoo.core.files import canonical_json, output_folder, sha256_bytes, write_json
from anas_zoo.core.progress import note, stage
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.nets.blocks import init_weights
from anas_zoo.pipeline.deploy import time_drafts, validate_on_test_images
from anas_zoo.pipeline.exporting import export_entry
from anas_zoo.pipeline.finetune_run import FinetuneRun
from anas_zoo.pipeline.tested_draft import write_tested_draft
from anas_zoo.pipeline.train import HERE, open_train_data
from anas_zoo.searching.evaluator import accuracy_pct, logits_of
from anas_zoo.training import Processes, Trainer
from anas_zoo.training.step import FixedStep
from anas_zoo.zoo import load_subnet

__all__ = ["finetune", "with_new_classifier"]


def finetune(run: FinetuneRun, entry: Path, processes: Processes = HERE) -> Path:
    """Fine-tune the network of the folder ``entry`` and make a draft of it; returns the draft's folder.

    Every process of ``processes`` calls this; the first one writes. A training that was stopped goes on with
    its latest checkpoint. Raises as :meth:`anas_zoo.training.Trainer.run` does, and the errors of the export.
    """
    run.use_threads()
    if processes.first:
        parts = run.split
        stage(f"1/2 fine-tune {run.origin.name} for {len(run.source.label_names)} classes")
        note(f"  {len(parts.train)} train, {len(parts.search)} search, {len(parts.test)} test images")
    trained = _train(run, entry, processes)
    if processes.first:
        stage("2/2 calibrate, test, profile, export, validate and measure latency")
        _write_draft(run, trained)
    return run.draft_folder


def with_new_classifier(
    trained: Subnet,
    num_classes: int,
    *,
    generator: torch.Generator,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Subnet:
    """The network of ``trained`` with its weights, but for a new classifier of ``num_classes`` outputs.

    The classifier is drawn from ``generator`` (normal, 0.01; zero bias).
    """
    with torch.random.fork_rng(devices=[]):  # layers initialise themselves from the global generator
        subnet = Subnet(
            trained.arch,
            trained.structure,
            num_classes=num_classes,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
        )
    init_weights(subnet.classifier, generator)
    own = {f"classifier.{name}": tensor for name, tensor in subnet.classifier.state_dict().items()}
    subnet.load_state_dict(trained.state_dict() | own)
    return subnet


def _train(run: FinetuneRun, entry: Path, processes: Processes) -> Subnet:
    """The trained network on the device of ``processes``, not calibrated."""
    recipe = run.recipe
    subnet = with_new_classifier(
        load_subnet(entry),
        len(run.source.label_names),
        generator=torch.Generator().manual_seed(recipe.seed),
        drop_rate=recipe.train.drop_rate,
        drop_path_rate=recipe.train.drop_path_rate,
    )
    subnet.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    Trainer(
        FixedStep(subnet, recipe.train, processes),
        open_train_data(run, processes, resolution=subnet.arch.resolution),
        recipe.train,
        seed=recipe.seed,
        folder=run.training_folder,
        identity={
            "entry": run.origin.model_dump(mode="json"),
            "seed": recipe.seed,
            "split_sha256": sha256_bytes(canonical_json(run.split.model_dump(mode="json")).encode()),
            "train": recipe.train.model_dump(mode="json"),
        },
        processes=processes,
        evaluate=_evaluator(run, subnet),
    ).run()
    return subnet


def _evaluator(run: FinetuneRun, subnet: Subnet) -> Callable[[], Mapping[str, float]]:
    """Accuracy of a calibrated copy on the search split."""
    wanted = run.recipe.train.evaluation
    images = run.search_images(wanted.images)

    def accuracy() -> dict[str, float]:
        calibrated = _calibrated(copy.deepcopy(subnet), run, wanted.calibration_images)
        return {"subnet": accuracy_pct(logits_of(calibrated, images(subnet.arch.resolution)), images.labels)}

    return accuracy


def _calibrated(subnet: Subnet, run: FinetuneRun, images: int) -> Subnet:
    """``subnet`` itself, calibrated on training images."""
    calibration = run.calibration_images(images)(subnet.arch.resolution)
    calibrate_bn(subnet, calibration.split(run.recipe.calibration_batch_size))
    return subnet


def _write_draft(run: FinetuneRun, trained: Subnet) -> None:
    """``RUN/subnets`` with the draft, complete, or not at all."""
    origin, source, recipe = run.origin, run.source, run.recipe
    subnet = _calibrated(trained.cpu(), run, recipe.calibration_images)
    with output_folder(run.drafts_folder) as staging:
        draft = staging / run.name
        write_tested_draft(
            draft,
            subnet,
            run.test_images,
            source,
            name=run.name,
            space=origin.space,
            licence=run.licence,
            lineage=f"fine-tuned by anas-zoo from {origin.name} (weights sha256 {origin.weights_sha256}), "
            f"seed {recipe.seed}, on {source.title} (licence of the images: {source.licence})",
            source_sha256=origin.weights_sha256,
            ancestors=origin.lineage,
        )
        export_entry(draft)
        validate_on_test_images(draft, run.test_images)
        time_drafts({run.name: draft})
        write_json(staging / "order.json", [run.name])
