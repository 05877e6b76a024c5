"""config.json of a subnet, made from the network itself so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import sha256_bytes
from anas_zoo.core.schema import parse
from anas_zoo.entry.config import Ancestor, EntryConfig, PreprocessingInfo, SpaceInfo, hub_licence
from anas_zoo.space import Architecture, SearchSpace, Structure, plan_network

if TYPE_CHECKING:
    from anas_zoo.data import Preprocessing
    from anas_zoo.nets import Subnet

__all__ = ["build_config", "compose_config", "weights_bytes"]


def weights_bytes(subnet: Subnet) -> bytes:
    """The content of model.safetensors; the same weights give the same bytes."""
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in subnet.state_dict().items()}
    return save(state, {"format": "pt"})


def compose_config(
    *,
    name: str,
    arch: Architecture,
    structure: Structure,
    space: SpaceInfo,
    num_classes: int,
    preprocessing: PreprocessingInfo,
    label_names: Sequence[str] | None = None,
    licence: str | None = None,
    weights: dict[str, Any] | None = None,
    calibration: dict[str, Any] | None = None,
) -> EntryConfig:
    """An entry's config from its parts, with everything that follows from them filled in.

    Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    side = arch.resolution
    data: dict[str, Any] = {
        "architecture": "attentive_nas",
        "num_classes": num_classes,
        "num_features": plan_network(structure, arch).head_mid_chs,
        "global_pool": "avg",
        "label_names": None if label_names is None else [str(label) for label in label_names],
        "model_args": {"arch": arch.to_dict(), "structure": structure.model_dump(mode="json")},
        "pretrained_cfg": {
            "input_size": (3, side, side),
            "interpolation": preprocessing.interpolation,
            "crop_pct": preprocessing.crop_pct,
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "num_classes": num_classes,
            "license": None if licence is None else hub_licence(licence),
        },
        "anas": {
            "format": 1,
            "name": name,
            "arch": arch.to_dict(),
            "arch_id": arch.id,
            "space": space.model_dump(),
            "weights": weights,
            "calibration": calibration,
            "preprocessing": preprocessing.model_dump(),
        },
    }
    return parse(EntryConfig, data, f"config of {name}", error=EntryError)


def build_config(
    subnet: Subnet,
    *,
    name: str,
    space: SearchSpace | SpaceInfo,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    resolution: int | None = None,
    label_names: Sequence[str] | None = None,
    licence: str | None,
    source: str,
    source_sha256: str | None = None,
    lineage: Sequence[Ancestor] = (),
) -> EntryConfig:
    """The config of a subnet with its weights.

    Args:
        subnet: the network; its architecture, classes, weights and calibration are recorded.
        name: the entry's name (letters, digits, '.', '_', '-').
        space: the space that the architecture comes from, or another entry's record of it.
        preprocessing: how images are made into inputs: the data source's record, or the keys of
            :class:`PreprocessingInfo`; default is native with ImageNet's mean and std.
        resolution: side of the input in pixels; when given it must be the architecture's own.
        label_names: one label for each class.
        licence: SPDX name of the licence of the weights, such as "Apache-2.0"; None while nobody has
            chosen one.
        source: where the weights come from, for people.
        source_sha256: hash of the checkpoint that they were taken from.
        lineage: the published weights that these were made from, the oldest first; their licences bind
            this one when the entry is published.

    Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    side = subnet.arch.resolution
    if resolution is not None and resolution != side:
        raise EntryError(f"{name}: resolution {resolution} is not the architecture's {side}; give that one")
    calibration = subnet.calibration if subnet.is_calibrated() else None
    weights = {
        "sha256": sha256_bytes(weights_bytes(subnet)),
        "source": source,
        "source_sha256": source_sha256,
        "licence": licence,
        "lineage": [ancestor.model_dump() for ancestor in lineage],
    }
    return compose_config(
        name=name,
        arch=subnet.arch,
        structure=subnet.structure,
        space=SpaceInfo(name=space.name, id=space.id),
        num_classes=subnet.num_classes,
        preprocessing=_preprocessing(name, preprocessing, side),
        label_names=label_names,
        licence=licence,
        weights=weights,
        calibration=None if calibration is None else calibration.to_dict(),
    )


def _preprocessing(
    name: str, given: Preprocessing | Mapping[str, Any] | None, side: int
) -> PreprocessingInfo:
    if given is None:
        given = {}
    data = dict(given) if isinstance(given, Mapping) else given.to_dict()
    return parse(PreprocessingInfo, {"resolution": side} | data, f"preprocessing of {name}", error=EntryError)
