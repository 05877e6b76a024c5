"""A pretrained network of timm's -> a supernet's folder, whose largest subnet it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.files import sha256_bytes, sha256_file
from anas_zoo.entry import Ancestor, Preprocessing
from anas_zoo.entry.licence import licence_of_derived
from anas_zoo.nets.checkpoint import weights_bytes
from anas_zoo.nets.sources.timm_network import read_timm_network
from anas_zoo.pipeline.import_supernet import Checkpoint, ImportedSupernet, write_supernet
from anas_zoo.space.architecture import LIMITS

ELASTIC = "channels sorted by importance, the network is the largest subnet"

# timm writes the Hub's identifiers; the record has SPDX names.
SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
}


@dataclass(frozen=True)
class ImportedTimm(ImportedSupernet):
    """What :func:`import_timm` made.

    Attributes:
        difference: largest difference of the largest subnet's logits from timm's, over their deviation.
    """

    difference: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return {**super().to_dict(), "difference_from_timm": self.difference}


def import_timm_supernet(
    name: str,
    out: Path,
    checkpoint: Path | None = None,
    resolution: int | Sequence[int] | None = None,
    licence: str | None = None,
) -> ImportedTimm:
    """Write timm's network ``name`` as a supernet; arguments and errors are those of ``import_timm``."""
    resolutions = [resolution] if isinstance(resolution, int) else list(resolution or ())
    wrong = [side for side in resolutions if not 1 <= side <= LIMITS["resolution"]]
    if wrong:
        raise ConfigError(f"a resolution is 1 to {LIMITS['resolution']} pixels; got {wrong[0]}")
    found = read_timm_network(name, checkpoint=checkpoint, resolutions=sorted(set(resolutions)))
    made = write_supernet(
        out,
        found.supernet,
        found.coverage,
        about_timm(name, found.supernet, found.config, checkpoint, licence, ELASTIC),
        name=name.replace("/", "_"),
        preprocessing=preprocessing_of(found.config),
        facts={"network": name, "largest_difference_from_timm": found.difference},
    )
    return ImportedTimm(made.folder, made.coverage, made.licence, made.source, found.difference)


def about_timm(
    name: str,
    network: nn.Module,
    config: Mapping[str, Any],
    checkpoint: Path | None,
    licence: str | None,
    made: str | None,
) -> Checkpoint:
    """Where the weights of timm's ``name`` come from.

    Args:
        name: timm's.
        network: that holds the weights.
        config: timm's ``pretrained_cfg``, which says their licence.
        checkpoint: the file that they were read from; None where timm has downloaded them.
        licence: that the user gives.
        made: what was changed of the network, in words.

    Raises :class:`EntryError` for a licence that the weights' does not permit.
    """
    import timm

    own = config.get("license")
    if checkpoint is not None:
        source, digest = f"{checkpoint.name}, a checkpoint of timm's {name}", sha256_file(checkpoint)
        own = licence  # nothing says under which one a file is
    else:
        where = config.get("hf_hub_id") or config.get("url") or "timm"
        source = f"timm's {name} (timm {timm.__version__}, {where})"
        digest = sha256_bytes(weights_bytes(network))
        own = licence if own is None else SPDX.get(str(own).lower(), str(own))
    return Checkpoint(
        kind="timm",
        file=None if checkpoint is None else checkpoint.name,
        sha256=digest,
        source=f"{source}; {made}" if made else source,
        licence=None if own is None else licence_of_derived(own, licence),
        lineage=() if own is None else (Ancestor(name=f"timm/{name}", sha256=digest, licence=own),),
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
