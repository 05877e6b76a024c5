"""The authors' supernet -> one calibrated, exported entry per published architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from anas_zoo.data import FolderSource, ImageSource, eval_tensor, open_source, with_preprocessing
from anas_zoo.errors import DataError, EntryError, nearest
from anas_zoo.files import atomic_write, output_folder, refuse_occupied, sha256_file
from anas_zoo.geometry import Mode
from anas_zoo.nets import Supernet, calibrate_bn, load_authors_checkpoint
from anas_zoo.pipeline.deploy import validate_draft
from anas_zoo.pipeline.exporting import export_entry
from anas_zoo.pipeline.images_at import spread
from anas_zoo.pipeline.tested_draft import GOLDEN_IMAGES, cost_of
from anas_zoo.profiling import profile_flops
from anas_zoo.progress import Bar, note
from anas_zoo.space import Architecture
from anas_zoo.zoo import Entry, EntryReport, build_config, model_card, write_draft
from anas_zoo.zoo.entry import CARD
from anas_zoo.zoo.manifest import write_manifest
from anas_zoo.zoo.relicensing import AUTHORS_LICENCE, AUTHORS_SOURCE
from anas_zoo.zoo.schemas import Ancestor
from anas_zoo.zoo.weightless import load_published

__all__ = ["import_authors"]

CALIBRATION_BATCH = 64  # keeps seven networks at up to 288×288 within a few GB
PREFIX = "attentive_nas_"
DEFAULT_MODELS = tuple(f"{PREFIX}a{i}" for i in range(7))


def import_authors(
    checkpoint: Path,
    images: Path,
    out: Path,
    *,
    models: Sequence[str] | None = None,
    searched: Sequence[Architecture] = (),
    max_images: int = 2048,
    preprocessing: Mode = "native",
) -> list[Path]:
    """Extract, calibrate, profile, export and validate architectures from a checkpoint.

    Args:
        checkpoint: the AttentiveNAS or AlphaNet authors' file; none of its code is run.
        images: a folder of training images, with or without class folders; they calibrate batch norm. Where
            it has a test part of its own, that is left out.
        out: the new folder; one entry per model appears in it, all of them or none.
        models: names of published models; default is a0 to a6, or none beside ``searched`` ones.
        searched: other architectures of the space, called attentive_nas_ID.
        max_images: how many images to use at most, evenly spread.
        preprocessing: the mode that the networks are calibrated in and the entries record.

    Returns the entries' folders. They carry no accuracy, since that takes labelled test images, and
    publishing refuses them until it was measured.
    Raises :class:`CheckpointError`, :class:`DataError`, :class:`EntryError` for an unknown name, and
    :class:`OutputError` when ``out`` is taken.
    """
    refuse_occupied(out)
    archs = {model.name: Architecture.from_dict(model.arch) for model in load_published().models}
    names = list(models or (() if searched else DEFAULT_MODELS))
    for name in names:
        if name not in archs:
            hint = nearest(name, archs)
            raise EntryError(f"no published model {name!r}{hint}; known: {', '.join(archs)}")
    found = {f"{PREFIX}{arch.id}": arch for arch in searched}
    archs |= found
    names += found
    source = open_source(images)
    source = with_preprocessing(source, source.preprocessing.in_mode(preprocessing))
    supernet = load_authors_checkpoint(checkpoint)
    digest = sha256_file(checkpoint)
    chosen = spread(_not_for_testing(source), max_images)
    note(f"calibrating on {len(chosen)} images of {images}")
    with output_folder(out) as staging, Bar("import", total=len(names)) as bar:
        for name in names:
            bar.describe(f"import {name}")
            _write(staging / name, name, archs[name], supernet, digest, source, chosen)
            bar.advance()
    return [out / name for name in names]


def _not_for_testing(source: ImageSource) -> list[int]:
    """The images that the publisher did not set aside for testing; raises when there are none."""
    every = np.arange(len(source.labels))
    left = every if source.test_indices is None else np.setdiff1d(every, source.test_indices)
    if not len(left):
        raise DataError(f"all images of {source.name} are for testing; give training images")
    return [int(index) for index in left]


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
    chosen: Sequence[int],
) -> None:
    subnet = supernet.extract(arch)
    calibrate_bn(subnet, _batches(source, chosen, arch.resolution))
    labels = source.label_names if isinstance(source, FolderSource) else ()
    config = build_config(
        subnet,
        name=name,
        space=supernet.space,
        preprocessing=source.preprocessing,
        # The folder's classes are the network's only where their number says so.
        label_names=labels if len(labels) == subnet.num_classes else None,
        licence=AUTHORS_LICENCE,
        source=f"{AUTHORS_SOURCE}; batch norm calibrated on the user's images",
        source_sha256=digest,
        lineage=[Ancestor(name="the authors' checkpoint", sha256=digest, licence=AUTHORS_LICENCE)],
    )
    report = EntryReport(
        name=name, arch_id=arch.id, cost=cost_of(profile_flops(subnet, arch.resolution), arch.resolution)
    )
    golden = eval_tensor(source, chosen[:GOLDEN_IMAGES], source.preprocessing, arch.resolution)
    write_draft(folder, subnet, config, report, golden)
    export_entry(folder)
    validate_draft(folder, golden, None)
    entry = Entry.read(folder)
    atomic_write(folder / CARD, model_card(entry.config, entry.report))
    write_manifest(folder)
