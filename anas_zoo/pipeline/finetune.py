"""A published entry and other images -> the draft of an entry for their classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from anas_zoo.core.errors import ConfigError, OutputError
from anas_zoo.core.files import output_folder, write_json
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note, silence, stage
from anas_zoo.core.text import quoted
from anas_zoo.entry import Entry
from anas_zoo.nets import Subnet
from anas_zoo.nets.new_classifier import with_new_classifier
from anas_zoo.pipeline.deploy import table_row, time_drafts, validate_on_test_images
from anas_zoo.pipeline.export import export_also, export_entry
from anas_zoo.pipeline.fixed_training import calibrated_on, innermost, tempered, train_fixed
from anas_zoo.pipeline.recipe import FinetuneRecipe, Settings
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.pipeline.run_folder import MARKER, resumable_run
from anas_zoo.pipeline.tested_draft import write_tested_draft
from anas_zoo.pipeline.train import HERE
from anas_zoo.space import Structure
from anas_zoo.training import Processes, join_processes
from anas_zoo.zoo import load_subnet
from anas_zoo.zoo.shelf import locate

INT8_TARGET = "ort-cpu-int8"
QAT = "trained as int8 files compute"


@dataclass(frozen=True)
class Finetuned:
    """What :func:`finetune` made, with the numbers of its report.

    Attributes:
        draft: the folder of the new entry's draft.
        licence: SPDX name of the licence of its weights.
        name: of the new entry.
        top1_pct: on the test split, in torch.
        images: of the test split.
        onnx_top1_pct: of the exported file on the same images.
        macs: multiply-adds.
        params: parameters.
        latency_ms: median of one image on one thread, of the exported file.
        size_bytes: of the exported file.
        max_abs_logit_diff: of the exported file from torch, on the test images.
        top1_agreement_pct: how often both name the same class first.
    """

    draft: Path
    licence: str
    name: str
    top1_pct: float
    images: int
    onnx_top1_pct: float | None
    macs: int
    params: int
    latency_ms: float
    size_bytes: int
    max_abs_logit_diff: float
    top1_agreement_pct: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self) | {"draft": str(self.draft)}


def finetune(
    entry: str | Path | Entry,
    out: str | Path,
    *,
    data: str | None = None,
    recipe: str | Path | None = None,
    seed: int | None = None,
    set_: Settings | None = None,
    name: str | None = None,
    licence: str | None = None,
    activation: str | None = None,
    no_se: bool = False,
    qat: bool = False,
    resume: bool = False,
    device: str = "auto",
) -> Finetuned | None:
    """Train all of an entry on other images, with a new classifier, and make a draft of a new entry.

    The classifier is kept where the images' classes are the entry's, by name and order. With another
    ``activation``, without squeeze-and-excite or with ``qat``, the entry's own network then teaches the new
    one beside the labels: so a network becomes one whose int8 files are faster, or more accurate. Started by
    torchrun, every process calls this; the first one writes, and the others return None.

    Args:
        entry: a model of the shelf, an entry's folder, or ``hf://org/name``.
        out: the run's folder.
        data: a source of images (see :func:`anas_zoo.data.open_source`), one class a sub-folder.
        recipe: a YAML file; without it the defaults hold.
        seed: every random choice follows from it.
        set_: other values of the recipe, such as ``{"train.epochs": 10}`` or ``["train.epochs=10"]``.
        name: of the new entry; by default the entry's with ``_finetuned``.
        licence: SPDX name, of the new weights; by default the entry's.
        activation: ``relu``, ``relu6``, ``hard_swish`` or ``silu`` in the place of the entry's.
        no_se: leave squeeze-and-excite out.
        qat: train it as its int8 file will compute, and export that too (target ``ort-cpu-int8``).
        resume: continue from the latest checkpoint of the fine-tuning in ``out``, if there is one.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises :class:`ConfigError`, :class:`DataError`, :class:`OutputError` when ``out`` is taken,
    :class:`EntryError` for an entry that cannot be had, :class:`TrainingError`, and the errors of the export.
    """
    out = Path(out)
    again = Call("finetune", entry.folder if isinstance(entry, Entry) else entry, out=out, resume=True)
    with resumable_run(out, again, "subnets"), join_processes(device) as processes:
        folder = locate(entry)
        if not processes.first:
            silence()
            processes.wait()  # the first process makes the folder
            run = FinetuneRun.open(out)
        else:
            changes = {"data": data, "seed": seed, "name": name, "licence": licence}
            changes |= {"activation": activation, "squeeze_excite": False if no_se else None}
            changes |= {"qat": qat or None}
            path = None if recipe is None else Path(recipe)
            wanted, given = _wanted(out, path, changes, set_, resume=resume), Entry.read(folder)
            _check_simplified(wanted, given)
            run = FinetuneRun.start(out, wanted, given)
            if run.training_folder.exists() and not resume:
                raise OutputError(
                    f"{out} holds a fine-tuning that was stopped; resume it: ",
                    again,
                    f"; or begin anew after: rm -r {quoted(out)}",
                )
            processes.wait()
        draft = finetune_stage(run, folder, processes)
        return Finetuned(draft, run.licence, **table_row(draft)) if processes.first else None


def _wanted(
    out: Path, recipe: Path | None, changes: dict[str, Any], settings: Settings | None, *, resume: bool
) -> FinetuneRecipe:
    """The recipe that a call means; of one that resumes, what is not given stays as it was begun with."""
    if not resume or not (out / MARKER).is_file():
        return FinetuneRecipe.load(recipe, changes, settings)
    there = FinetuneRun.open(out).recipe
    if recipe is None:
        return there.changed(changes, settings)
    kept = {key: getattr(there, key) if value is None else value for key, value in changes.items()}
    return FinetuneRecipe.load(recipe, kept, settings)


def _check_simplified(recipe: FinetuneRecipe, entry: Entry) -> None:
    """Raise :class:`ConfigError` where the network of ``entry`` is already as ``recipe`` would make it."""
    structure = entry.config.structure
    if recipe.simplification and _simplified(structure, recipe) == structure:
        raise ConfigError(f"{entry.name} is {recipe.simplification} already")


def _simplified(structure: Structure, recipe: FinetuneRecipe) -> Structure:
    return structure.simplified(act=recipe.activation, se=recipe.squeeze_excite)


def finetune_stage(run: FinetuneRun, entry: Path, processes: Processes = HERE) -> Path:
    """Fine-tune the network of the folder ``entry`` and make a draft of it; returns the draft's folder.

    Every process of ``processes`` calls this; the first one writes. A training that was stopped resumes with
    its latest checkpoint. Raises as :meth:`anas_zoo.training.Trainer.run` does, and the errors of the export.
    """
    run.use_threads()
    if processes.first:
        parts = run.split
        run.note_images()
        stage(f"1/2 fine-tune {run.origin.name} for {len(run.source.label_names)} classes")
        note(f"  {len(parts.train)} train, {len(parts.search)} search, {len(parts.test)} test images")
    trained = _train(run, entry, processes)
    if processes.first:
        stage("2/2 calibrate, test, profile, export, validate and measure latency")
        _write_draft(run, trained)
        if run.recipe.qat:
            export_int8(run.draft_folder)  # there, as its ranges come from the images of the run around it
    return run.draft_folder


def _train(run: FinetuneRun, entry: Path, processes: Processes) -> Subnet:
    """The trained network on the device of ``processes``, not calibrated."""
    recipe = run.recipe
    subnet = innermost(starting_network(run, entry), processes.device)
    teacher = None
    if recipe.simplification or recipe.qat:
        if has_its_classes(run, entry):
            teacher = innermost(load_subnet(entry), processes.device)
        if processes.first:
            teachers = "the labels" if teacher is None else f"the labels and {run.origin.name} as it was"
            how = ", ".join(filter(None, [recipe.simplification, QAT if recipe.qat else ""]))
            note(f"  {how}; taught by {teachers}")
    train_fixed(
        run,
        subnet,
        recipe.train,
        folder=run.training_folder,
        identity={"entry": run.origin.model_dump(mode="json")} | ({"qat": True} if recipe.qat else {}),
        calibration_batch_size=recipe.calibration_batch_size,
        teacher=teacher,
        processes=processes,
        qat=recipe.qat,
    )
    return subnet


def starting_network(run: FinetuneRun, entry: Path) -> Subnet:
    """The entry's network, with a new classifier unless the images' classes are its own.

    It has the recipe's activation, and no squeeze-and-excite where that says so.
    """
    recipe, given = run.recipe, load_subnet(entry)
    subnet = with_new_classifier(
        given,
        len(run.source.label_names),
        generator=torch.Generator().manual_seed(recipe.seed),
        structure=_simplified(given.structure, recipe),
        drop_rate=recipe.train.drop_rate,
        drop_path_rate=recipe.train.drop_path_rate,
    )
    if has_its_classes(run, entry):
        subnet.classifier.load_state_dict(given.classifier.state_dict())
    return subnet


def export_int8(draft: Path) -> None:
    """Export the draft to int8 as well, and say what it costs in accuracy."""
    made = export_also(draft, INT8_TARGET)
    parity = None if made is None else made.info.parity
    if parity is not None and parity.top1_pct is not None and parity.torch_top1_pct is not None:
        note(
            f"  {INT8_TARGET}: {parity.top1_pct:.2f} % on the search split, {parity.torch_top1_pct:.2f} % in "
            "float"
        )


def has_its_classes(run: FinetuneRun, entry: Path) -> bool:
    """Whether the run's images have the classes of ``entry``, by name and order."""
    return Entry(entry).config.label_names == run.source.label_names


def _write_draft(run: FinetuneRun, trained: Subnet) -> None:
    """``RUN/subnets`` with the draft, complete, or not at all."""
    origin, source, recipe = run.origin, run.source, run.recipe
    subnet = calibrated_on(trained.cpu(), run, recipe.calibration_images, recipe.calibration_batch_size)
    temperature = tempered(run, subnet)
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
            + (f"{recipe.simplification}, " if recipe.simplification else "")
            + (f"{QAT}, " if recipe.qat else "")
            + f"seed {recipe.seed}, on {source.title} (licence of the images: {source.licence}); "
            f"{temperature}",
            source_sha256=origin.weights_sha256,
            ancestors=origin.lineage,
        )
        export_entry(draft)
        validate_on_test_images(draft, run.test_images)
        time_drafts({run.name: draft})
        write_json(staging / "order.json", [run.name])
