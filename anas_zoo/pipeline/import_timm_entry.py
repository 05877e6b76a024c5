"""A pretrained classifier of timm's -> the draft of an entry, with timm's preprocessing and licence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

from anas_zoo.core.files import sha256_bytes
from anas_zoo.core.progress import note
from anas_zoo.data import open_source, with_preprocessing
from anas_zoo.entry import Calibration, EntryConfig, WeightsInfo, compose_other_config, timm_id
from anas_zoo.nets import KeyCoverage
from anas_zoo.nets.checkpoint import weights_bytes
from anas_zoo.nets.sources.timm_classifier import TimmClassifier, read_timm_classifier
from anas_zoo.nets.sources.timm_network import known_network, read_timm_network, why_not_elastic
from anas_zoo.pipeline.import_supernet import Checkpoint
from anas_zoo.pipeline.import_timm_supernet import about_timm, preprocessing_of
from anas_zoo.pipeline.imported_entry import ImportedEntry, subnet_config, write_imported
from anas_zoo.profiling import profile_flops
from anas_zoo.profiling.flops import profile_traced

AS_SUBNET = "as a subnet, with channels in another order"


def import_timm_entry(
    name: str,
    out: Path,
    checkpoint: Path | None,
    licence: str | None,
    data: str | Path | None,
    evaluation_images: int,
) -> ImportedEntry:
    """Write timm's network ``name`` as a draft; arguments and errors are those of ``import_timm``."""
    network: nn.Module
    coverage: KeyCoverage | None
    if why_not_elastic(known_network(name)) is None:
        elastic = read_timm_network(name, checkpoint=checkpoint)
        subnet = elastic.supernet.extract(elastic.supernet.space.largest).eval()
        subnet.calibration = Calibration(kind="trained")
        cost = profile_flops(subnet, subnet.arch.resolution)
        timms, coverage, network = elastic.config, elastic.coverage, subnet
        found = about_timm(name, network, timms, checkpoint, licence, AS_SUBNET)
        space = elastic.supernet.space
        config_with = partial(subnet_config, subnet, space, found, name, preprocessing_of(timms))
        classes = subnet.num_classes
    else:
        read = read_timm_classifier(name, checkpoint=checkpoint)
        timms, coverage, network = read.config, read.coverage, read.network
        cost = profile_traced(network, read.resolution)
        found = about_timm(name, network, timms, checkpoint, licence, None)
        config_with = partial(_timm_config, read, found, name)
        classes = int(timms["num_classes"])
    if checkpoint is not None and coverage is not None:
        note(coverage.describe())
    accuracy = write_imported(
        out,
        network,
        config_with,
        cost,
        num_classes=classes,
        source=None if data is None else with_preprocessing(open_source(str(data)), preprocessing_of(timms)),
        evaluation_images=evaluation_images,
    )
    return ImportedEntry(out, coverage, found.licence, found.source, accuracy)


def _timm_config(
    read: TimmClassifier, found: Checkpoint, name: str, labels: Sequence[str] | None
) -> EntryConfig:
    return compose_other_config(
        read.architecture,
        read.config,
        name=name,
        arch_id=timm_id(read.architecture, read.resolution),
        num_features=int(getattr(read.network, "num_features", 0)),
        global_pool=str(read.config.get("global_pool") or getattr(read.network, "global_pool", "") or ""),
        preprocessing=preprocessing_of(read.config),
        label_names=labels,
        weights=WeightsInfo(
            sha256=sha256_bytes(weights_bytes(read.network)),
            source=found.source,
            source_sha256=found.sha256,
            licence=found.licence,
            lineage=found.lineage,
        ),
    )
