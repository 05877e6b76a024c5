"""The AttentiveNAS or AlphaNet authors' checkpoint -> a supernet, and a calibrated entry for each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from anas_zoo.core.errors import DataError, EntryError, SearchError, nearest
from anas_zoo.core.files import atomic_write, output_folder, refuse_occupied, sha256_file
from anas_zoo.core.geometry import Mode
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import Bar, note
from anas_zoo.data import ImageSource, eval_tensor, open_source, with_preprocessing
from anas_zoo.data.sources import cropped_as_imagenet
from anas_zoo.data.unreadable import readable
from anas_zoo.entry import CARD, Accuracy, Ancestor, Entry, EntryReport, Preprocessing, write_manifest
from anas_zoo.entry.licence import AUTHORS_LICENCE, AUTHORS_SOURCE
from anas_zoo.nets import KeyCoverage, Supernet, calibrate_bn, read_authors_checkpoint
from anas_zoo.nets.sources.attentive_nas import KIND, WHAT
from anas_zoo.pipeline.evaluate import accuracies_on
from anas_zoo.pipeline.export import export_entry
from anas_zoo.pipeline.extract import find_architecture
from anas_zoo.pipeline.image_roles import ImageRoles, image_roles
from anas_zoo.pipeline.import_supernet import Checkpoint, write_supernet
from anas_zoo.pipeline.matched_classes import class_names
from anas_zoo.pipeline.tested_draft import GOLDEN_IMAGES
from anas_zoo.profiling import profile_flops
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.zoo import build_config, model_card, write_draft
from anas_zoo.zoo.published import load_published

CALIBRATION_BATCH = 64  # keeps seven networks at up to 288×288 within a few GB
SPACE = "attentive_nas"
PREFIX = f"{SPACE}_"
DEFAULT_MODELS = tuple(f"{PREFIX}a{i}" for i in range(7))


@dataclass(frozen=True)
class Imported:
    """What :func:`import_attentive_nas` made.

    Attributes:
        supernet: its folder; None where only entries were asked for.
        entries: their folders.
        coverage: what became of every tensor of the checkpoint.
        calibration_images: how many images batch norm was measured on.
        accuracies: by name of the entry, its own mode of preprocessing first; empty where no labels fit.
    """

    supernet: Path | None
    entries: tuple[Path, ...]
    coverage: KeyCoverage
    calibration_images: int
    accuracies: dict[str, tuple[Accuracy, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "supernet": None if self.supernet is None else str(self.supernet),
            "entries": [str(folder) for folder in self.entries],
            "coverage": self.coverage.to_dict(),
            "calibration_images": self.calibration_images,
            "accuracies": {
                name: [accuracy.model_dump(mode="json") for accuracy in found]
                for name, found in self.accuracies.items()
            },
        }


def import_attentive_nas(
    checkpoint: str | Path,
    *,
    out: str | Path | None = None,
    name: str = SPACE,
    entries: str | Path | None = None,
    data: str | Path | None = None,
    model: Sequence[str] | None = None,
    arch: Sequence[str] | None = None,
    search: str | Path | None = None,
    calibration_images: int = 2048,
    evaluation_images: int = 1000,
    preprocessing: Mode = "native",
) -> Imported:
    """Write the supernet of a checkpoint, or architectures of it as entries, or both.

    An entry is extracted, calibrated, profiled, exported, validated and evaluated.

    Args:
        checkpoint: the AttentiveNAS or AlphaNet authors' file; none of its code is run.
        out: the new folder of the supernet.
        name: of the supernet.
        entries: the new folder of entries; one per model appears in it, all of them or none.
        data: a folder of images for the entries, with or without class folders. Training images calibrate
            batch norm; its test part, or without one every fifth image, measures accuracy where its classes
            are known.
        model: names of published models; by default a0 to a6, or none beside ``arch``.
        arch: other architectures of the space, called attentive_nas_ID: each by the beginning of an id that
            ``search`` evaluated, or by its ``.json`` file.
        search: the folder of the search that evaluated them.
        calibration_images: how many images to calibrate on at most, balanced over the classes.
        evaluation_images: how many images to measure accuracy on at most, in both modes; 0 for none.
        preprocessing: the mode that is recorded, and that entries are calibrated in.

    Without labels the entries carry no accuracy, and publishing refuses them until it was measured.
    Raises :class:`CheckpointError`, :class:`DataError`, :class:`EntryError` for an unknown name or where
    neither ``out`` nor ``entries`` is given, and :class:`OutputError` when one of them is taken.
    """
    if out is None and entries is None:
        raise EntryError("give ", Option("out", "SUPERNET"), ", ", Option("entries", "DIR"), " or both")
    if entries is None and (data is not None or model or arch or search is not None):
        given = {"data": data, "model": model, "arch": arch, "search": search}
        first = next(key for key, value in given.items() if value)
        raise EntryError(Option(first), " is for entries; give ", Option("entries", "DIR"), " too")
    if entries is not None and data is None:
        raise EntryError(Option("entries"), " are calibrated on images; give ", Option("data", "DIR"), " too")
    checkpoint = Path(checkpoint)
    archs: dict[str, Architecture] = {}
    source = images = None
    if out is not None:
        refuse_occupied(Path(out))
    if entries is not None:
        archs = _architectures(model, _searched(arch or (), None if search is None else Path(search)))
        refuse_occupied(Path(entries), "entries")
        source = cropped_as_imagenet(open_source(str(data)))
        source = with_preprocessing(source, source.preprocessing.in_mode(preprocessing))
    supernet, coverage = read_authors_checkpoint(checkpoint)
    digest = sha256_file(checkpoint)
    written = None
    if source is not None:
        images = _images(source, supernet.num_classes, calibration_images, evaluation_images)
    if out is not None:
        written = write_supernet(
            Path(out),
            supernet,
            coverage,
            _about(checkpoint, digest),
            name=name,
            preprocessing=Preprocessing().in_mode(preprocessing),
            label_names=None if images is None else images.labels,
        )
    else:
        note(coverage.describe())
    accuracies: dict[str, tuple[Accuracy, ...]] = {}
    if images is not None and entries is not None:
        accuracies = _write_entries(Path(entries), archs, supernet, digest, images)
    return Imported(
        None if written is None else written.folder,
        tuple(Path(str(entries)) / name for name in archs),
        coverage,
        0 if images is None else len(images.roles.calibration),
        accuracies,
    )


def _about(checkpoint: Path, digest: str) -> Checkpoint:
    return Checkpoint(
        kind=KIND,
        file=checkpoint.name,
        sha256=digest,
        source=f"{AUTHORS_SOURCE} (AttentiveNAS or AlphaNet)",
        licence=AUTHORS_LICENCE,
        lineage=(Ancestor(name=WHAT, sha256=digest, licence=AUTHORS_LICENCE),),
    )


def _architectures(models: Sequence[str] | None, searched: Sequence[Architecture]) -> dict[str, Architecture]:
    """The architectures to make entries of, by the entry's name."""
    known = {model.name: model.architecture for model in load_published().models}
    names = list(models or (() if searched else DEFAULT_MODELS))
    for name in names:
        if name not in known:
            hint = nearest(name, known)
            raise EntryError(f"no published model {name!r}{hint}; known: {', '.join(known)}")
    return {name: known[name] for name in names} | {f"{PREFIX}{arch.id}": arch for arch in searched}


@dataclass(frozen=True)
class _Images:
    """Images for entries: their source, what each is for, and the network's classes where they are known."""

    source: ImageSource
    roles: ImageRoles
    labels: tuple[str, ...] | None


def _images(source: ImageSource, num_classes: int, calibration: int, evaluation: int) -> _Images:
    """Which images calibrate and which measure accuracy; those that cannot be read are left out."""
    labels = class_names(source, num_classes)
    roles = image_roles(
        source, labelled=labels is not None, max_calibration=calibration, max_evaluation=evaluation
    )
    if not roles.calibration:
        raise DataError(f"all images of {source.name} are for testing; give training images")
    roles = replace(
        roles,
        calibration=readable(source, roles.calibration, "calibration images"),
        evaluation=readable(source, roles.evaluation, "images to measure accuracy on"),
    )
    return _Images(source, roles, labels)


def _write_entries(
    out: Path, archs: Mapping[str, Architecture], supernet: Supernet, digest: str, images: _Images
) -> dict[str, tuple[Accuracy, ...]]:
    """The new folder ``out`` with one entry for each architecture, all of them or none; their accuracies."""
    source, roles = images.source, images.roles
    evaluating = _evaluating(roles, images.labels)
    note(f"calibrating on {len(roles.calibration)} images of {source.name}, {evaluating}")
    accuracies = {}
    with output_folder(out, "entries") as staging, Bar("import", total=len(archs)) as bar:
        for name, arch in archs.items():
            bar.describe(f"import {name}")
            folder = staging / name
            _write(folder, name, arch, supernet, digest, source, roles, images.labels)
            accuracies[name] = _evaluate(Entry(folder), source, roles)
            _finish(folder)
            bar.advance()
    return accuracies


def _searched(texts: Sequence[str], search: Path | None) -> list[Architecture]:
    space = SearchSpace.load(SPACE)
    for text in texts:
        if search is None and not text.endswith(".json"):
            raise SearchError(
                Option("arch", text), ": give ", Option("search", "DIR"), ", the search that evaluated it"
            )
    return [find_architecture(text, search or Path(), space) for text in texts]


def _evaluating(roles: ImageRoles, labels: Sequence[str] | None) -> str:
    if roles.evaluation:
        return f"evaluating on {len(roles.evaluation)} others ({roles.split})"
    reason = "its class folders are not the network's classes" if labels is None else "none are asked for"
    return f"evaluating on none ({reason})"


def _evaluate(entry: Entry, source: ImageSource, roles: ImageRoles) -> tuple[Accuracy, ...]:
    """Measure a draft in both modes of preprocessing and note it in its report, its own mode first."""
    if not roles.evaluation:
        return ()
    own = source.preprocessing.mode
    modes: tuple[Mode, Mode] = (own, "reference" if own == "native" else "native")
    first, other = accuracies_on(entry, source, roles.evaluation, roles.split, modes)
    entry.updated(entry.report.model_copy(update={"accuracy": first, "further_accuracy": (other,)}))
    return first, other


def _finish(folder: Path) -> None:
    entry = Entry(folder)
    atomic_write(folder / CARD, model_card(entry.config, entry.report))
    write_manifest(folder)


def _batches(source: ImageSource, indices: Sequence[int], resolution: int) -> Iterator[Tensor]:
    for start in range(0, len(indices), CALIBRATION_BATCH):
        part = indices[start : start + CALIBRATION_BATCH]
        yield eval_tensor(source, part, source.preprocessing, resolution)


def _write(
    folder: Path,
    name: str,
    arch: Architecture,
    supernet: Supernet,
    digest: str,
    source: ImageSource,
    roles: ImageRoles,
    labels: tuple[str, ...] | None,
) -> None:
    chosen = roles.calibration
    subnet = supernet.extract(arch)
    calibrate_bn(subnet, _batches(source, chosen, arch.resolution))
    config = build_config(
        subnet,
        name=name,
        space=supernet.space,
        preprocessing=source.preprocessing,
        label_names=labels,
        licence=AUTHORS_LICENCE,
        source=f"{AUTHORS_SOURCE}; batch norm calibrated on the user's images",
        source_sha256=digest,
        lineage=[Ancestor(name="the authors' checkpoint", sha256=digest, licence=AUTHORS_LICENCE)],
    )
    report = EntryReport(name=name, arch_id=arch.id, cost=profile_flops(subnet, arch.resolution))
    golden = eval_tensor(source, chosen[:GOLDEN_IMAGES], source.preprocessing, arch.resolution)
    write_draft(folder, subnet, config, report, golden)
    export_entry(folder)
