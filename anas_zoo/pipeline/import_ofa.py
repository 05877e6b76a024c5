"""Once-for-all's files -> a supernet, or a specialised net as a draft that was trained alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import refuse_occupied, sha256_file
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import note
from anas_zoo.data import open_source, with_preprocessing
from anas_zoo.entry import Ancestor, Calibration
from anas_zoo.entry.licence import OFA_LICENCE, OFA_TERMS, licence_of_derived
from anas_zoo.nets.sources import read_ofa_checkpoint, read_ofa_specialised
from anas_zoo.nets.sources.ofa import INIT, KIND, PUBLISHED_SUPERNETS, git_blob_id, ofa_preprocessing
from anas_zoo.pipeline.import_supernet import Checkpoint, ImportedSupernet, write_supernet
from anas_zoo.pipeline.imported_entry import ImportedEntry, subnet_config, write_imported
from anas_zoo.profiling import profile_flops
from anas_zoo.zoo.published import load_published


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
    resolution = subnet.arch.resolution
    preprocessing = ofa_preprocessing(resolution)
    subnet.calibration = Calibration(kind="trained")
    name = name or names.get(found.known_as, f"ofa_{subnet.arch.id}")
    accuracy = write_imported(
        out,
        subnet,
        partial(subnet_config, subnet, space, found, name, preprocessing),
        profile_flops(subnet, resolution),
        num_classes=subnet.num_classes,
        source=None if data is None else with_preprocessing(open_source(str(data)), preprocessing),
        evaluation_images=evaluation_images,
    )
    return ImportedEntry(out, coverage, found.licence, found.source, accuracy)
