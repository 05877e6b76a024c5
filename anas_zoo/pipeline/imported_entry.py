"""A network that others trained, written as the draft of an entry: exported, and measured on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.core.files import output_folder
from anas_zoo.core.progress import note
from anas_zoo.data import ImageSource, balanced_choice, eval_tensor
from anas_zoo.data.chosen_images import SCORING
from anas_zoo.data.unreadable import readable
from anas_zoo.entry import Accuracy, Cost, Entry, EntryConfig, EntryReport, Preprocessing
from anas_zoo.exporting import DEFAULT_TARGET
from anas_zoo.nets import KeyCoverage, Subnet
from anas_zoo.pipeline.deploy import time_drafts
from anas_zoo.pipeline.evaluate import accuracies_on
from anas_zoo.pipeline.export import export_also, export_entry
from anas_zoo.pipeline.import_supernet import Checkpoint, labels_of
from anas_zoo.pipeline.matched_classes import class_names
from anas_zoo.pipeline.tested_draft import GOLDEN_IMAGES
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import build_config, write_draft

Labels = Sequence[str] | None


@dataclass(frozen=True)
class ImportedEntry:
    """What an import made of a network that was trained alone.

    Attributes:
        folder: the draft's; it has to be published as any other.
        coverage: what became of every tensor of a checkpoint; None where timm has loaded its own weights.
        licence: SPDX name of the licence of the weights; None where it has to be chosen before publishing.
        source: where the weights come from, for people.
        accuracy: on the images that were given; None where there are none, or of other classes.
    """

    folder: Path
    coverage: KeyCoverage | None
    licence: str | None
    source: str
    accuracy: Accuracy | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "entry": str(self.folder),
            "licence": self.licence,
            "source": self.source,
            "coverage": None if self.coverage is None else self.coverage.to_dict(),
            "accuracy": None if self.accuracy is None else self.accuracy.model_dump(mode="json"),
        }


def write_imported(
    out: Path,
    network: nn.Module,
    config_with: Callable[[Labels], EntryConfig],
    cost: Cost,
    *,
    num_classes: int,
    labels: Labels = None,
    source: ImageSource | None,
    evaluation_images: int,
    targets: Sequence[str | Path] = (DEFAULT_TARGET,),
) -> Accuracy | None:
    """Write the new folder ``out`` of a draft with its exported files, complete or not at all.

    Those files that this machine's CPU runs are timed, one image on one thread.

    Args:
        out: the folder, which must not hold anything yet.
        network: with its weights.
        config_with: makes its config from the labels of its classes, None where none are known.
        cost: what it costs.
        num_classes: of its classifier.
        labels: of its classes, where it has its own.
        source: images to check the file on and to measure accuracy on, with the network's preprocessing; the
            labels are found by their folders' names. None for drawn numbers, and no accuracy.
        evaluation_images: how many images are measured at most, balanced over the classes; 0 for none.
        targets: that it is exported for. One that is refused is warned of and noted in the report, unless it
            is the first.

    Returns the accuracy, which is also in the report: on the test part, or on all images where there is none.
    """
    named = labels
    if named is None and source is not None:
        named = class_names(source, num_classes)
    config = config_with(named or labels_of(num_classes))
    report = EntryReport(name=config.anas.name, arch_id=config.anas.arch_id, cost=cost)
    with output_folder(out) as staging:
        write_draft(staging, network, config, report, _golden_images(source, config.resolution))
        export_entry(staging, targets[0], network=network)
        for target in targets[1:]:
            export_also(staging, target, data=None if source is None else source.name, network=network)
        time_drafts({config.anas.name: staging})
        if source is not None and named is not None and evaluation_images:
            return _measured(Entry(staging), source, evaluation_images, network)
        if source is not None and named is None:
            note("accuracy is not measured: the class folders are not the network's classes")
    return None


def subnet_config(
    subnet: Subnet,
    space: SearchSpace,
    found: Checkpoint,
    name: str,
    preprocessing: Preprocessing,
    labels: Labels,
) -> EntryConfig:
    """The config of an imported network that is a subnet, whose weights are those of ``found``."""
    return build_config(
        subnet,
        name=name,
        space=space,
        preprocessing=preprocessing,
        label_names=labels,
        licence=found.licence,
        source=found.source,
        source_sha256=found.sha256,
        lineage=found.lineage,
    )


def _golden_images(source: ImageSource | None, resolution: int) -> Tensor:
    """Images to check the files on, (N, 3, R, R): the first ones given, else drawn numbers."""
    if source is None:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(GOLDEN_IMAGES, 3, resolution, resolution, generator=generator)
    chosen = readable(source, range(min(GOLDEN_IMAGES, len(source.labels))), "images to check the files on")
    return eval_tensor(source, chosen, source.preprocessing, resolution)


def _measured(draft: Entry, source: ImageSource, most: int, network: nn.Module) -> Accuracy:
    """The accuracy on the test part, or on all images where there is none; noted in the draft's report."""
    test = source.test_indices
    split, indices = ("all", range(len(source.labels))) if test is None else ("test", test)
    chosen = sorted(balanced_choice(indices, source.labels, most, [0, SCORING]))
    chosen = readable(source, chosen, "images to measure accuracy on")
    (accuracy,) = accuracies_on(draft, source, chosen, split, [source.preprocessing.mode], network=network)
    draft.updated(draft.report.model_copy(update={"accuracy": accuracy}))
    return accuracy
