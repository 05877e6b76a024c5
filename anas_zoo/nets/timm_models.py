"""timm entry points: ``attentive_nas`` for any architecture, and one for every entry of the shelf.

Importing this module registers them; ``import anas_zoo`` sees to that as soon as timm is there. The
networks are imported when a model is made, so that timm may be imported first from within them.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    is_model,
    register_model,
    resolve_pretrained_cfg,
)

from anas_zoo.core.errors import (
    AnasError,
    CheckpointError,
    ConfigError,
    NoWeightsError,
    SpaceError,
    nearest,
)
from anas_zoo.core.resources import resource_folder, shelf_aliases
from anas_zoo.core.schema import parse, read_json
from anas_zoo.space import Architecture, SearchSpace, Structure, plan_network
from anas_zoo.space.genes import check_lengths
from anas_zoo.space.plan import conv_side

if TYPE_CHECKING:
    from anas_zoo.nets.subnet import Subnet

__all__ = ["attentive_nas"]

GENERIC = "attentive_nas"
# Arguments of Subnet that are not timm's, of its feature extractors, and of its builder.
_FIXED = ("arch", "structure")
_OF_FEATURES = ("out_indices", "feature_cls")
_BUILDER = inspect.signature(build_model_with_cfg).parameters.keys() - {"feature_cfg", "model_cfg", "kwargs"}
_SOURCES = ("url", "file", "hf_hub_id", "state_dict")


def _pool_size(arch: Architecture, structure: Structure) -> tuple[int, int]:
    """Height and width of the last feature map at the architecture's resolution."""
    side = conv_side(arch.resolution, structure.stem.stride)
    for stage in structure.stages:
        side = conv_side(side, stage.stride)
    return side, side


def _pretrained_cfg(arch: Architecture, structure: Structure) -> dict[str, Any]:
    """What timm has to know of a network without weights: its input, its first and last layer."""
    return {
        "input_size": (3, arch.resolution, arch.resolution),
        "pool_size": _pool_size(arch, structure),
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
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Subnet:
    from anas_zoo.nets.subnet import Subnet

    scales = len(Subnet.scales(plan_network(structure, arch)))
    _check_arguments(variant, kwargs, scales)
    if not pretrained_cfg and variant == GENERIC:
        pretrained_cfg = _pretrained_cfg(arch, structure)
    elif isinstance(pretrained_cfg, dict):  # of an entry's config
        pretrained_cfg = {**pretrained_cfg, "pool_size": _pool_size(arch, structure)}
    resolved = resolve_pretrained_cfg(variant, pretrained_cfg, pretrained_cfg_overlay)
    folder = Path(resolved.file) if resolved.file and Path(resolved.file).is_dir() else None
    if folder and not (folder / "model.safetensors").is_file():
        resolved.file = None
    if pretrained and not any(getattr(resolved, source, None) for source in _SOURCES):
        raise NoWeightsError(
            f"{variant} has no weights on the shelf, pretrained=True cannot be met; make them from the "
            "authors' checkpoint: anas import authors CHECKPOINT --data DIR --out DIR, and load the "
            'entry: timm.create_model("local-dir:DIR/NAME", pretrained=True)'
        )
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
    if pretrained and resolved.file and isinstance(model, Subnet) and model.as_published:
        _restore_calibration(model, (folder or Path(resolved.file).parent) / "config.json")
    return model


def _check_arguments(variant: str, kwargs: Mapping[str, Any], scales: int) -> None:
    """Say in one line which argument cannot be; timm would leave it to Python."""
    from anas_zoo.nets.subnet import Subnet

    own = [name for name in inspect.signature(Subnet.__init__).parameters if name not in ("self", *_FIXED)]
    possible = [*own, "features_only", *_OF_FEATURES]
    for name in kwargs:
        if name not in possible and name not in _BUILDER:
            raise ConfigError(
                f"{variant} takes no argument {name!r}{nearest(name, possible)}; it takes "
                f"{', '.join(possible)}; everything else about it is its architecture"
            )
    for name in _OF_FEATURES:
        if name in kwargs and not kwargs.get("features_only"):
            raise ConfigError(f"{name} is about feature maps; give it together with features_only=True")
    indices = kwargs.get("out_indices", ())
    if not isinstance(indices, int) and any(not -scales <= index < scales for index in indices):
        raise ConfigError(f"out_indices are 0 to {scales - 1} (or -{scales} to -1), got {tuple(indices)}")


def _restore_calibration(model: Subnet, config: Path) -> None:
    """Take over what the entry's config says of its batch norm statistics, if it says anything."""
    from anas_zoo.core.schema import parse
    from anas_zoo.entry import Calibration

    data = read_json(config) if config.is_file() else {}
    anas = data.get("anas") if isinstance(data, dict) else None
    record = anas.get("calibration") if isinstance(anas, dict) else None
    if isinstance(record, dict):
        model.calibration = parse(Calibration, record, f"{config}: calibration", error=CheckpointError)


def _read_model_args(
    arch: Architecture | Mapping[str, Any], structure: Structure | Mapping[str, Any] | None
) -> tuple[Architecture, Structure]:
    arch = arch if isinstance(arch, Architecture) else Architecture.from_dict(arch)
    if structure is None:
        space = SearchSpace.load(GENERIC)
        space.validate(arch)
        return arch, space.structure
    if not isinstance(structure, Structure):
        structure = parse(Structure, structure, "structure", error=SpaceError)
    check_lengths(arch, len(structure.stages))
    return arch, structure


@register_model
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

    Raises :class:`SpaceError` without an architecture or with one that does not fit.
    """
    if arch is None:
        raise SpaceError(
            "attentive_nas needs an architecture: timm.create_model('attentive_nas', arch={'resolution': "
            "192, 'width': [...], 'depth': [...], 'kernel_size': [...], 'expand_ratio': [...]}); "
            "or name a published one, such as attentive_nas_a0"
        )
    return _build(GENERIC, pretrained, *_read_model_args(arch, structure), **kwargs)


def _entry_point(name: str, arch: Architecture, structure: Structure) -> Callable[..., Subnet]:
    """An entry point of that name, whose architecture is fixed."""

    def create(pretrained: bool = False, **kwargs: Any) -> Subnet:
        return _build(name, pretrained, arch, structure, **kwargs)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"The published model {name} (architecture {arch.id})."
    return create


def _read_entry(folder: Path) -> tuple[Architecture, Structure, dict[str, Any]]:
    """Architecture, structure and pretrained_cfg of an entry folder."""
    data = read_json(folder / "config.json")
    try:
        args = data["model_args"]
        cfg = {k: tuple(v) if isinstance(v, list) else v for k, v in data["pretrained_cfg"].items()}
        if "num_classes" in data:
            cfg["num_classes"] = data["num_classes"]
        if data.get("label_names"):
            cfg["label_names"] = tuple(data["label_names"])
        arch, structure = _read_model_args(args["arch"], args.get("structure"))
        cfg["pool_size"] = _pool_size(arch, structure)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ConfigError(f"{folder / 'config.json'}: not the config of an entry ({exc!r})") from exc
    weights = folder / "model.safetensors"
    if weights.is_file():
        cfg["file"] = str(weights)
    return arch, structure, cfg


def _register_shelf() -> None:
    """Register every readable entry of the shelf under its name and those of its architecture.

    What cannot be read is a warning, not a broken import.
    """
    try:
        folders = sorted(path.parent for path in resource_folder("models").glob("*/config.json"))
    except AnasError as exc:
        warnings.warn(str(exc), stacklevel=2)
        return
    named = {folder.name: folder for folder in folders}
    aliases = {alias: named[name] for alias, name in shelf_aliases().items() if name in named}
    for name, folder in (named | aliases).items():
        try:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or is_model(name):
                raise ConfigError(f"{folder}: {name!r} cannot be the name of a model, or is one already")
            arch, structure, cfg = _read_entry(folder)
            default_cfgs.update(generate_default_cfgs({name: cfg}))
        except (AnasError, TypeError) as exc:  # TypeError: a key in pretrained_cfg that timm does not know
            warnings.warn(f"left out of timm's models: {exc}", stacklevel=2)
            continue
        globals()[name] = register_model(_entry_point(name, arch, structure))


default_cfgs: dict[str, Any] = {}  # where timm's register_model looks the configs up
_register_shelf()
