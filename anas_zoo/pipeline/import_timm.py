"""A pretrained network of timm's -> a supernet's folder, whose largest subnet it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.files import output_folder, refuse_occupied, sha256_bytes, sha256_file
from anas_zoo.core.progress import note
from anas_zoo.entry import Ancestor, Preprocessing, SupernetConfig
from anas_zoo.entry.licence import licence_of_derived
from anas_zoo.nets import save_supernet
from anas_zoo.nets.checkpoint import weights_bytes
from anas_zoo.nets.sources import KeyCoverage
from anas_zoo.nets.sources.timm_network import TimmSource, read_timm_network
from anas_zoo.space.architecture import LIMITS

IMAGENET_CLASSES = 1000
# timm writes the Hub's identifiers; the record has SPDX names.
SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
}


@dataclass(frozen=True)
class ImportedTimm:
    """What :func:`import_timm` made.

    Attributes:
        folder: of the supernet.
        config: its record.
        coverage: what became of every tensor of timm's network.
        difference: largest difference of the largest subnet's logits from timm's, over their deviation.
    """

    folder: Path
    config: SupernetConfig
    coverage: KeyCoverage
    difference: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {
            "supernet": str(self.folder),
            "coverage": self.coverage.to_dict(),
            "difference_from_timm": self.difference,
        }


def import_timm(
    name: str,
    *,
    out: str | Path,
    checkpoint: str | Path | None = None,
    resolution: int | Sequence[int] | None = None,
    licence: str | None = None,
) -> ImportedTimm:
    """Make a pretrained network of timm's elastic and write it as a supernet.

    It is the largest subnet, with the same logits. Depth, expand ratio, kernel size and resolution are
    elastic
    (see :func:`anas_zoo.nets.sources.timm_network.read_timm_network`); what is smaller has to be fine-tuned
    before it is worth much.

    Args:
        name: timm's, such as ``tf_efficientnet_lite0``; timm downloads the weights.
        out: the supernet's new folder.
        checkpoint: a file of the network's state dict (safetensors or ``torch.save``'s) instead of a
        download.
        resolution: sides of the input in pixels that can be chosen; by default steps of 32 from two fifths of
            timm's up to it.
        licence: SPDX name of the licence of the weights; by default what timm says of those that it
        downloads.

    Raises :class:`CheckpointError` for a network of another family or a checkpoint that does not fit,
    :class:`EntryError` for a licence that the weights' does not permit, :class:`OutputError` when ``out``
    is taken.
    """
    out = Path(out)
    refuse_occupied(out)
    resolutions = [resolution] if isinstance(resolution, int) else list(resolution or ())
    wrong = [side for side in resolutions if not 1 <= side <= LIMITS["resolution"]]
    if wrong:
        raise ConfigError(f"a resolution is 1 to {LIMITS['resolution']} pixels; got {wrong[0]}")
    found = read_timm_network(name, checkpoint=checkpoint, resolutions=sorted(set(resolutions)))
    note(found.coverage.describe())
    with output_folder(out) as staging:
        config = _save(staging, name, found, None if checkpoint is None else Path(checkpoint), licence)
    return ImportedTimm(out, config, found.coverage, found.difference)


def _save(
    folder: Path, name: str, found: TimmSource, checkpoint: Path | None, licence: str | None
) -> SupernetConfig:
    import timm

    supernet, cfg = found.supernet, found.config
    own = cfg.get("license")
    if checkpoint is not None:
        source, digest = f"{checkpoint.name}, a checkpoint of timm's {name}", sha256_file(checkpoint)
        own = licence  # nothing says under which one a file is
    else:
        where = cfg.get("hf_hub_id") or cfg.get("url") or "timm"
        source = f"timm's {name} (timm {timm.__version__}, {where})"
        digest = sha256_bytes(weights_bytes(supernet))
        own = licence if own is None else SPDX.get(str(own).lower(), str(own))
    granted = None if own is None else licence_of_derived(own, licence)
    lineage = [] if own is None else [Ancestor(name=f"timm/{name}", sha256=digest, licence=own)]
    return save_supernet(
        folder,
        supernet,
        name=name.replace("/", "_"),
        licence=granted,
        source=f"{source}; channels sorted by importance, the network is the largest subnet",
        source_sha256=digest,
        lineage=lineage,
        preprocessing=preprocessing_of(cfg),
        label_names=_labels(supernet.num_classes),
        trained={
            "imported": "timm",
            "network": name,
            "tensors": {
                "used": len(found.coverage.used),
                "not_used": sum(map(len, found.coverage.unused.values())),
                "missing": 0,
            },
            "largest_difference_from_timm": found.difference,
        },
    )


def preprocessing_of(cfg: Mapping[str, Any]) -> Preprocessing:
    """How timm evaluates a network with that ``pretrained_cfg``."""
    interpolation = cfg.get("interpolation")
    return Preprocessing(
        interpolation=interpolation if interpolation in ("bilinear", "bicubic") else "bicubic",
        crop_pct=cfg.get("crop_pct", 0.875),
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
    )


def _labels(num_classes: int) -> tuple[str, ...] | None:
    """ImageNet's WordNet ids for its 1000 classes; timm names no others."""
    if num_classes != IMAGENET_CLASSES:
        return None
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())
