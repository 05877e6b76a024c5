"""The AttentiveNAS or AlphaNet authors' supernet -> a calibrated, exported entry for each of its models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from anas_zoo.data.unreadable import readable
from anas_zoo.entry import CARD, Accuracy, Ancestor, Entry, EntryReport, write_manifest
from anas_zoo.entry.licence import AUTHORS_LICENCE, AUTHORS_SOURCE
from anas_zoo.nets import KeyCoverage, Supernet, calibrate_bn, read_authors_checkpoint
from anas_zoo.pipeline.authors_labels import ImageRoles, class_names, image_roles
from anas_zoo.pipeline.evaluate import accuracies_on
from anas_zoo.pipeline.export import export_entry
from anas_zoo.pipeline.extract import find_architecture
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
        entries: their folders.
        coverage: what became of every tensor of the checkpoint.
        calibration_images: how many images batch norm was measured on.
        accuracies: by name of the entry, its own mode of preprocessing first; empty where no labels fit.
    """

    entries: tuple[Path, ...]
    coverage: KeyCoverage
    calibration_images: int
    accuracies: dict[str, tuple[Accuracy, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
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
    data: str | Path,
    entries: str | Path,
    model: Sequence[str] | None = None,
    arch: Sequence[str] | None = None,
    search: str | Path | None = None,
    calibration_images: int = 2048,
    evaluation_images: int = 1000,
    preprocessing: Mode = "native",
) -> Imported:
    """Extract, calibrate, profile, export, validate and evaluate architectures from a checkpoint.

    Args:
        checkpoint: the AttentiveNAS or AlphaNet authors' file; none of its code is run.
        data: a folder of images, with or without class folders. Training images calibrate batch norm; its
            test part, or without one every fifth image, measures accuracy where its classes are known.
        entries: the new folder; one entry per model appears in it, all of them or none.
        model: names of published models; by default a0 to a6, or none beside ``arch``.
        arch: other architectures of the space, called attentive_nas_ID: each by the beginning of an id that
            ``search`` evaluated, or by its ``.json`` file.
        search: the folder of the search that evaluated them.
        calibration_images: how many images to calibrate on at most, balanced over the classes.
        evaluation_images: how many images to measure accuracy on at most, in both modes; 0 for none.
        preprocessing: the mode that the networks are calibrated in and the entries record.

    Without labels the entries carry no accuracy, and publishing refuses them until it was measured.
    Raises :class:`CheckpointError`, :class:`DataError`, :class:`EntryError` for an unknown name, and
    :class:`OutputError` when ``entries`` is taken.
    """
    searched = _searched(arch or (), None if search is None else Path(search))
    checkpoint, out = Path(checkpoint), Path(entries)
    refuse_occupied(out, "entries")
    archs = {model.name: model.architecture for model in load_published().models}
    names = list(model or (() if searched else DEFAULT_MODELS))
    for name in names:
        if name not in archs:
            hint = nearest(name, archs)
            raise EntryError(f"no published model {name!r}{hint}; known: {', '.join(archs)}")
    found = {f"{PREFIX}{arch.id}": arch for arch in searched}
    archs |= found
    names += found
    source = open_source(data)
    source = with_preprocessing(source, source.preprocessing.in_mode(preprocessing))
    supernet, coverage = read_authors_checkpoint(checkpoint)
    note(coverage.describe())
    digest = sha256_file(checkpoint)
    labels = class_names(source, supernet.num_classes)
    roles = image_roles(
        source,
        labelled=labels is not None,
        max_calibration=calibration_images,
        max_evaluation=evaluation_images,
    )
    if not roles.calibration:
        raise DataError(f"all images of {source.name} are for testing; give training images")
    roles = replace(
        roles,
        calibration=readable(source, roles.calibration, "calibration images"),
        evaluation=readable(source, roles.evaluation, "images to measure accuracy on"),
    )
    note(f"calibrating on {len(roles.calibration)} images of {data}, {_evaluating(roles, labels)}")
    accuracies = {}
    with output_folder(out, "entries") as staging, Bar("import", total=len(names)) as bar:
        for name in names:
            bar.describe(f"import {name}")
            folder = staging / name
            _write(folder, name, archs[name], supernet, digest, source, roles, labels)
            accuracies[name] = _evaluate(Entry(folder), source, roles)
            _finish(folder)
            bar.advance()
    return Imported(tuple(out / name for name in names), coverage, len(roles.calibration), accuracies)


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
