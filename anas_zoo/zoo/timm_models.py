"""timm entry points: ``attentive_nas`` for any architecture, and one for every entry of the shelf.

Importing this module registers them; ``import anas_zoo`` sees to that as soon as timm is there. The
networks are imported when a model is made, so that timm may be imported first from within them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    register_model,
    resolve_pretrained_cfg,
)

from anas_zoo.core.errors import NoWeightsError, SpaceError
from anas_zoo.core.resources import shelf_aliases
from anas_zoo.core.schema import read_json
from anas_zoo.entry import CONFIG, WEIGHTS, EntryConfig, read_config
from anas_zoo.entry.licence import no_weights
from anas_zoo.space import Architecture, Structure, plan_network
from anas_zoo.zoo.shelf import GENERIC, entry_folder, list_models

if TYPE_CHECKING:
    from anas_zoo.nets.subnet import Subnet


def _pool_size(arch: Architecture, structure: Structure) -> tuple[int, int]:
    """Height and width of the last feature map at the architecture's resolution; each stride rounds up."""
    total = structure.stem.stride * math.prod(stage.stride for stage in structure.stages)
    side = -(-arch.resolution // total)
    return side, side


def _pretrained_cfg(arch: Architecture) -> dict[str, Any]:
    """What timm has to know of a network that is not an entry: its input, its first and last layer."""
    return {
        "input_size": (3, arch.resolution, arch.resolution),
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "first_conv": "stem.conv",
        "classifier": "classifier",
        "num_classes": 1000,
    }


def _build(
    variant: str,
    pretrained: bool,
    arch: Architecture,
    structure: Structure,
    *,
    config: EntryConfig | None = None,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Subnet:
    from anas_zoo.nets.subnet import Subnet

    if not pretrained_cfg and variant == GENERIC:
        pretrained_cfg = _pretrained_cfg(arch)
    if isinstance(pretrained_cfg, dict):
        pretrained_cfg = {**pretrained_cfg, "pool_size": _pool_size(arch, structure)}
    resolved = resolve_pretrained_cfg(variant, pretrained_cfg, pretrained_cfg_overlay)
    weights = Path(resolved.file) if resolved.file else None
    if weights is not None and weights.is_dir():  # timm would take golden.safetensors where it lacks weights
        weights = weights / WEIGHTS
    if weights is not None:
        config = _config_beside(weights)
    elsewhere = resolved.url or resolved.hf_hub_id or resolved.state_dict
    if pretrained and not elsewhere and not (weights is not None and weights.is_file()):
        if config is not None:
            raise no_weights(config)
        raise NoWeightsError(
            f"{variant} has no weights of its own; load a published entry: "
            "timm.create_model('local-dir:FOLDER', pretrained=True)"
        )
    scales = len(Subnet.scales(plan_network(structure, arch)))
    model: Subnet = build_model_with_cfg(
        Subnet,
        variant,
        pretrained,
        pretrained_cfg=pretrained_cfg,
        pretrained_cfg_overlay=pretrained_cfg_overlay,
        feature_cfg={"out_indices": tuple(range(scales)), "flatten_sequential": True},
        arch=arch,
        structure=structure,
        **kwargs,
    )
    if pretrained and config is not None and isinstance(model, Subnet) and model.as_published:
        model.calibration = config.anas.calibration
    return model


def _config_beside(weights: Path) -> EntryConfig | None:
    """The config of the entry that ``weights`` belong to; None for other files, such as timm itself saves."""
    path = weights.parent / CONFIG
    data = read_json(path) if path.is_file() else None
    return read_config(weights.parent) if isinstance(data, dict) and "anas" in data else None


@register_model  # type: ignore[untyped-decorator]
def attentive_nas(
    pretrained: bool = False,
    *,
    arch: Architecture | Mapping[str, Any] | None = None,
    structure: Structure | Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Subnet:
    """The network of any architecture: ``timm.create_model("attentive_nas", arch={...})``.

    Args:
        pretrained: load weights; possible when they are given, as ``local-dir:`` and ``hf-hub:`` do.
        arch: the architecture or its dict.
        structure: strides, squeeze-and-excite and activations; default is that of ``attentive_nas``.
        **kwargs: what :class:`anas_zoo.nets.Subnet` and timm's builder take.

    Raises :class:`SpaceError` without an architecture or with one that does not fit, and
    :class:`NoWeightsError` for ``pretrained`` without weights.
    """
    from anas_zoo.nets.subnet import read_model_args

    if arch is None:
        raise SpaceError(
            "attentive_nas needs an architecture: timm.create_model('attentive_nas', arch={'resolution': "
            "192, 'width': [...], 'depth': [...], 'kernel_size': [...], 'expand_ratio': [...]}); "
            "or name a published one, such as attentive_nas_a0"
        )
    return _build(GENERIC, pretrained, *read_model_args(arch, structure), **kwargs)


def _entry_point(name: str, config: EntryConfig) -> Callable[..., Subnet]:
    """An entry point of that name, whose architecture is fixed."""

    def create(pretrained: bool = False, **kwargs: Any) -> Subnet:
        return _build(name, pretrained, config.arch, config.structure, config=config, **kwargs)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"The published model {name} (architecture {config.anas.arch_id})."
    return create


def _default_cfg(folder: Path, config: EntryConfig) -> dict[str, Any]:
    """timm's ``pretrained_cfg`` of an entry on the shelf, with the weights' file where there is one."""
    cfg = config.pretrained_cfg.model_dump()
    cfg["pool_size"] = _pool_size(config.arch, config.structure)
    cfg["label_names"] = config.label_names
    if (folder / WEIGHTS).is_file():
        cfg["file"] = str(folder / WEIGHTS)
    return cfg


def _register_shelf() -> None:
    """Register every entry of the shelf under its name and those of its architecture."""
    for name in (*list_models(), *shelf_aliases()):
        folder = entry_folder(name)
        config = read_config(folder)
        if not config.is_subnet:  # which timm has under its own name
            continue
        default_cfgs.update(generate_default_cfgs({name: _default_cfg(folder, config)}))
        register_model(_entry_point(name, config))


default_cfgs: dict[str, Any] = {}  # where timm's register_model looks the configs up
_register_shelf()
