"""A supernet that others trained -> the folder of one, as every import writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.files import output_folder
from anas_zoo.core.progress import note
from anas_zoo.entry import Ancestor, Preprocessing
from anas_zoo.nets import KeyCoverage, Supernet, save_supernet
from anas_zoo.pipeline.authors_labels import IMAGENET_CLASSES, wordnet_ids


@dataclass(frozen=True)
class Checkpoint:
    """A file of others, as a supernet's or an entry's record says it.

    Attributes:
        kind: of the import that read it.
        file: its name; None of what was downloaded.
        sha256: of its content.
        source: where the weights come from, for people.
        licence: SPDX name of the licence of what is made from them; None where none is known.
        lineage: the weights themselves, with the licence that binds.
        known_as: the name under which its authors publish this very file; None for another file, and where
            nothing tells.
    """

    kind: str
    file: str | None
    sha256: str
    source: str
    licence: str | None
    lineage: tuple[Ancestor, ...]
    known_as: str | None = None


@dataclass(frozen=True)
class ImportedSupernet:
    """What an import made.

    Attributes:
        folder: the supernet's.
        coverage: what became of every tensor of the checkpoint.
        licence: SPDX name of the licence of the weights; None where it has to be chosen before publishing.
        source: where the weights come from, for people.
    """

    folder: Path
    coverage: KeyCoverage
    licence: str | None
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "supernet": str(self.folder),
            "licence": self.licence,
            "source": self.source,
            "coverage": self.coverage.to_dict(),
        }


def labels_of(num_classes: int) -> tuple[str, ...] | None:
    """The labels of a network without any of its own: ImageNet's WordNet ids for its 1000 classes."""
    return wordnet_ids() if num_classes == IMAGENET_CLASSES else None


def write_supernet(
    out: Path,
    supernet: Supernet,
    coverage: KeyCoverage,
    checkpoint: Checkpoint,
    *,
    name: str,
    preprocessing: Preprocessing,
    label_names: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> ImportedSupernet:
    """Write the new folder ``out`` of an imported supernet, complete or not at all.

    Args:
        out: the folder, which must not hold anything yet.
        supernet: with the checkpoint's weights.
        coverage: what became of the checkpoint's tensors; the record says how many were used.
        checkpoint: the file that it was read from.
        name: of the supernet.
        preprocessing: how its authors make images into inputs.
        label_names: one for each class, of a network for which :func:`labels_of` has none.
        facts: what else the record says of the import.

    Raises :class:`OutputError` when ``out`` is taken, :class:`EntryError` for a name that cannot be one.
    """
    note(coverage.describe())
    with output_folder(out) as staging:
        save_supernet(
            staging,
            supernet,
            name=name,
            licence=checkpoint.licence,
            source=checkpoint.source,
            source_sha256=checkpoint.sha256,
            lineage=checkpoint.lineage,
            preprocessing=preprocessing,
            label_names=labels_of(supernet.num_classes) or label_names,
            trained={"imported": how_imported(checkpoint, coverage) | dict(facts or {})},
        )
    return ImportedSupernet(out, coverage, checkpoint.licence, checkpoint.source)


def how_imported(checkpoint: Checkpoint, coverage: KeyCoverage) -> dict[str, Any]:
    """What a supernet's record says of its import, plain data."""
    return {
        "kind": checkpoint.kind,
        "file": checkpoint.file,
        "published_as": checkpoint.known_as,
        "tensors": coverage.counts(),
    }
