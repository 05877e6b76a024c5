"""Once-for-all's files -> a supernet, or a specialised net as a draft that was trained alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import output_folder, refuse_occupied, sha256_file
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import note
from anas_zoo.data import ImageSource, balanced_choice, eval_tensor, open_source, with_preprocessing
from anas_zoo.data.chosen_images import SCORING
from anas_zoo.data.unreadable import readable
from anas_zoo.entry import Accuracy, Ancestor, Calibration, Entry, EntryReport
from anas_zoo.entry.licence import OFA_LICENCE, OFA_TERMS, licence_of_derived
from anas_zoo.nets import KeyCoverage, Subnet
from anas_zoo.nets.sources import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.nets.sources.ofa import INIT, KIND, PUBLISHED_SUPERNETS, git_blob_id, ofa_preprocessing
from anas_zoo.pipeline.authors_labels import class_names
from anas_zoo.pipeline.evaluate import accuracies_on
from anas_zoo.pipeline.export import export_entry
from anas_zoo.pipeline.import_supernet import Checkpoint, ImportedSupernet, labels_of, write_supernet
from anas_zoo.pipeline.tested_draft import GOLDEN_IMAGES
from anas_zoo.profiling import profile_flops
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import build_config, write_draft
from anas_zoo.zoo.published import load_published


@dataclass(frozen=True)
class ImportedEntry:
    """What :func:`import_ofa` made of a specialised net.

    Attributes:
        folder: the draft's; it has to be published as any other.
        coverage: what became of every tensor of ``init``.
        licence: SPDX name of the licence of the weights; None where it has to be chosen before publishing.
        source: where the weights come from, for people.
        accuracy: on the images that were given; None where there are none, or of other classes.
    """

    folder: Path
    coverage: KeyCoverage
    licence: str | None
    source: str
    accuracy: Accuracy | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "entry": str(self.folder),
            "licence": self.licence,
            "source": self.source,
            "coverage": self.coverage.to_dict(),
            "accuracy": None if self.accuracy is None else self.accuracy.model_dump(mode="json"),
        }


def import_ofa(
    checkpoint: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    licence: str | None = None,
    data: str | Path | None = None,
    evaluation_images: int = 1000,
) -> ImportedSupernet | ImportedEntry:
    """Write a supernet of once-for-all, or a specialised net as the draft of an entry.

    Args:
        checkpoint: the file of a supernet, of width 1.0 or 1.2; or the folder of a specialised net, with
            net.config, run.config and init. None of their code is run.
        out: the new folder of the supernet or the draft.
        name: of the supernet or the entry; by default the one that the package knows it by.
        licence: SPDX name of the licence of the weights; by default that of the authors' files. A file that
            is none of theirs has no licence unless it is given.
        data: a source of images to measure the accuracy of a specialised net on (see
            :func:`anas_zoo.data.open_source`): its test part, or all of them where there is none.
        evaluation_images: how many of them at most, balanced over the classes; 0 for none.

    A specialised net was trained alone, so its batch norms are not calibrated. Raises
    :class:`CheckpointError` for what cannot be read or is of another network, :class:`DataError`,
    :class:`EntryError` for a licence that the weights cannot have, and :class:`OutputError` when ``out`` is
    taken.
    """
    path, out = Path(checkpoint), Path(out)
    refuse_occupied(out)
    if path.is_dir():
        return _import_specialised(path, out, name, licence, data, evaluation_images)
    if data is not None:
        raise EntryError(
            Option("data"),
            " measures a specialised net; search the supernet with your images after its import",
        )
    supernet, coverage = read_ofa_checkpoint(path)
    found = _recognised(path, PUBLISHED_SUPERNETS, licence)
    space = supernet.space.name
    return write_supernet(
        out, supernet, coverage, found, name=name or space, preprocessing=ofa_preprocessing()
    )


def _recognised(path: Path, published: dict[str, str], licence: str | None) -> Checkpoint:
    """What is known of a file: whether it is one of ``published``, names by git's ids, and its licence."""
    known_as, digest = published.get(git_blob_id(path)), sha256_file(path)
    file = f"{path.resolve().parent.name}/{INIT}" if path.name == INIT else path.name
    terms: str | None = None
    if known_as is None:
        own, source = (
            licence,
            f"{file}, not one of the once-for-all authors' files, imported by anas-zoo",
        )
    else:
        own, terms = OFA_LICENCE, OFA_TERMS
        source = f"the once-for-all authors' own file {known_as} (by its git blob id), imported by anas-zoo"
    lineage = (
        () if own is None else (Ancestor(name=known_as or file, sha256=digest, licence=own, terms=terms),)
    )
    return Checkpoint(
        kind=KIND,
        file=file,
        sha256=digest,
        source=source,
        licence=None if own is None else licence_of_derived(own, licence),
        lineage=lineage,
        known_as=known_as,
    )


def _import_specialised(
    folder: Path,
    out: Path,
    name: str | None,
    licence: str | None,
    data: str | Path | None,
    evaluation_images: int,
) -> ImportedEntry:
    subnet, space, coverage = read_ofa_specialised(folder)
    models = {str(model.git_blob): model for model in load_published("ofa").models}
    found = _recognised(
        folder / INIT, {blob: str(model.published_as) for blob, model in models.items()}, licence
    )
    note(coverage.describe())
    names = {model.published_as: model.name for model in models.values()}
    name = name or names.get(found.known_as, f"ofa_{subnet.arch.id}")
    subnet.calibration = Calibration(kind="trained")
    source = None
    if data is not None:
        source = with_preprocessing(open_source(str(data)), ofa_preprocessing(subnet.arch.resolution))
    accuracy = None
    with output_folder(out) as staging:
        labels = None if source is None else class_names(source, subnet.num_classes)
        _write(staging, name, subnet, space, found, source, labels)
        export_entry(staging)
        if source is not None and labels is not None and evaluation_images:
            accuracy = _measured(Entry(staging), source, evaluation_images)
        elif source is not None and labels is None:
            note("accuracy is not measured: the class folders are not the network's classes")
    return ImportedEntry(out, coverage, found.licence, found.source, accuracy)


def _write(
    draft: Path,
    name: str,
    subnet: Subnet,
    space: SearchSpace,
    found: Checkpoint,
    source: ImageSource | None,
    labels: Sequence[str] | None,
) -> None:
    resolution = subnet.arch.resolution
    config = build_config(
        subnet,
        name=name,
        space=space,
        preprocessing=ofa_preprocessing(resolution),
        label_names=labels or labels_of(subnet.num_classes),
        licence=found.licence,
        source=found.source,
        source_sha256=found.sha256,
        lineage=found.lineage,
    )
    report = EntryReport(name=name, arch_id=subnet.arch.id, cost=profile_flops(subnet, resolution))
    write_draft(draft, subnet, config, report, _golden_images(source, resolution))


def _golden_images(source: ImageSource | None, resolution: int) -> Tensor:
    """Images to check the files on, (N, 3, R, R): the first ones given, else drawn numbers."""
    if source is None:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(GOLDEN_IMAGES, 3, resolution, resolution, generator=generator)
    chosen = readable(source, range(min(GOLDEN_IMAGES, len(source.labels))), "images to check the files on")
    return eval_tensor(source, chosen, source.preprocessing, resolution)


def _measured(draft: Entry, source: ImageSource, most: int) -> Accuracy:
    """The accuracy on the test part, or on all images where there is none; noted in the draft's report."""
    test = source.test_indices
    split, indices = ("all", range(len(source.labels))) if test is None else ("test", test)
    chosen = sorted(balanced_choice(indices, source.labels, most, [0, SCORING]))
    chosen = readable(source, chosen, "images to measure accuracy on")
    (accuracy,) = accuracies_on(draft, source, chosen, split, [source.preprocessing.mode])
    draft.updated(draft.report.model_copy(update={"accuracy": accuracy}))
    return accuracy
