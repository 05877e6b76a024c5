"""A calibrated network -> a draft: tested once on the test split, profiled, written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anas_zoo.data import ImagesAt, ImageSource
from anas_zoo.entry import Ancestor, EntryReport, SpaceInfo
from anas_zoo.nets import Predictions, Subnet, logits_of
from anas_zoo.profiling import profile_flops
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import build_config, write_draft

GOLDEN_IMAGES = 8  # kept in an entry to check it again after a download


def write_tested_draft(
    folder: Path,
    subnet: Subnet,
    test_images: ImagesAt,
    source: ImageSource,
    *,
    name: str,
    space: SearchSpace | SpaceInfo,
    licence: str | None,
    lineage: str,
    source_sha256: str,
    ancestors: Sequence[Ancestor] = (),
) -> None:
    """Measure ``subnet`` and write it as the draft ``folder``.

    Args:
        folder: the new folder.
        subnet: the network, calibrated.
        test_images: of the test split, which nothing was decided on.
        source: where all images come from; its preprocessing becomes the draft's.
        name: the entry's name.
        space: the space that the architecture comes from.
        licence: SPDX name of the licence of the weights, None until one is chosen.
        lineage: where the weights come from, for people.
        source_sha256: hash of the weights that they were made from.
        ancestors: the published weights among those that they were made from, the oldest first.

    Raises as :func:`anas_zoo.zoo.build_config` and :func:`anas_zoo.zoo.write_draft` do.
    """
    resolution = subnet.arch.resolution
    logits = logits_of(subnet, test_images.batches(resolution))
    config = build_config(
        subnet,
        name=name,
        space=space,
        preprocessing=source.preprocessing,
        label_names=source.label_names,
        licence=licence,
        source=lineage,
        source_sha256=source_sha256,
        lineage=ancestors,
    )
    report = EntryReport(
        name=name,
        arch_id=subnet.arch.id,
        accuracy=Predictions.of(logits, test_images.labels).accuracy(
            test_images.indices,
            num_classes=subnet.num_classes,
            source=source.title,
            split="test",
            preprocessing=source.preprocessing.mode,
        ),
        cost=profile_flops(subnet, resolution),
    )
    write_draft(folder, subnet, config, report, test_images.some(GOLDEN_IMAGES)(resolution))
