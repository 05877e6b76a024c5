"""config.json of an entry as a schema: timm's, and our own part beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from anas_zoo.core.errors import EntryError, SpaceError
from anas_zoo.core.geometry import Interpolation
from anas_zoo.core.schema import Schema, Sparse, parse
from anas_zoo.entry.preprocessing import Channels, Preprocessing, Scales
from anas_zoo.space import Architecture, Structure, plan_network

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MAX_CLASSES = 100_000  # ImageNet-21k has 21 843; a classifier of 1984 features and more has 800 MB
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


def _an_architecture(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return Architecture.from_dict(value).to_dict()
    except SpaceError as exc:
        raise ValueError(str(exc)) from exc


ArchDict = Annotated[dict[str, Any], AfterValidator(_an_architecture)]


def hub_licence(licence: str) -> str:
    """The Hub's identifier of an SPDX licence name ('Apache-2.0' -> 'apache-2.0')."""
    return licence.strip().lower().replace(" ", "-")


class PretrainedConfig(Schema):
    """timm's ``pretrained_cfg``; timm refuses any key that it does not know."""

    input_size: tuple[int, int, int]
    fixed_input_size: Literal[False] = False
    interpolation: Interpolation
    crop_pct: float = Field(gt=0.0, le=1.0)
    crop_mode: Literal["center"] = "center"
    mean: Channels
    std: Scales
    num_classes: int = Field(ge=1)
    pool_size: None = None
    first_conv: Literal["stem.conv"] = "stem.conv"
    classifier: Literal["classifier"] = "classifier"
    license: str | None = None


class ModelArgs(Schema):
    """What timm passes to the entry point ``attentive_nas``."""

    arch: ArchDict
    structure: Structure


class SpaceInfo(Schema):
    """The search space that the architecture was found in; information only, nothing is loaded by it."""

    name: str
    id: str


class Ancestor(Sparse):
    """Weights that others were made from.

    Attributes:
        name: of the entry or the checkpoint.
        sha256: of its file.
        licence: SPDX name of the licence that they are under.
        terms: how that is known, where the weights' authors do not state it for them.
        permission: who allowed what was made from them to have another licence, and where that can be
            read; without it their licence decides.
    """

    LEFT_OUT: ClassVar = ("terms",)

    name: str = Field(min_length=1)
    sha256: Sha256
    licence: str = Field(min_length=1)
    terms: str | None = Field(None, min_length=1)
    permission: str | None = Field(None, min_length=1)


class WeightsInfo(Sparse):
    """Where the weights come from and under which licence they may be used.

    ``licence`` is None in a draft until one is chosen; no entry is published without.
    ``lineage`` lists all weights that these were made from, the oldest first.
    """

    LEFT_OUT: ClassVar = ("lineage",)

    sha256: Sha256
    source: str = Field(min_length=1)
    source_sha256: Sha256 | None = None
    licence: str | None
    lineage: tuple[Ancestor, ...] = ()


class Calibration(Sparse):
    """Where the batch norm statistics come from.

    Attributes:
        kind: ``measured`` on images after the training; or ``trained``, left by the training of this very
            network, as in one that somebody trained alone. Only a measured calibration has the other fields.
        batches: number of batches that the images were passed in.
        images: number of images in them.
        resolution: side of the images in pixels.
        sha256: hash of the preprocessed float32 images in order.
    """

    LEFT_OUT: ClassVar = ("kind", "batches", "images", "resolution", "sha256")

    kind: Literal["measured", "trained"] = "measured"
    batches: int = Field(0, ge=1)
    images: int = Field(0, ge=1)
    resolution: int = Field(0, ge=1)
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _measured_on_something(self) -> Self:
        given = {"batches", "images", "resolution", "sha256"} & self.model_fields_set
        if self.kind == "trained" and given:
            raise ValueError(f"a calibration of the kind 'trained' has no {', '.join(sorted(given))}")
        if self.kind == "measured" and len(given) < 4:
            missing = {"batches", "images", "resolution", "sha256"} - given
            raise ValueError(f"missing {', '.join(sorted(missing))}")
        return self


class AnasInfo(Schema):
    """What timm's schema has no place for."""

    format: Literal[2] = 2
    name: Name
    arch: ArchDict
    arch_id: str
    space: SpaceInfo
    weights: WeightsInfo | None
    calibration: Calibration | None
    preprocessing: Preprocessing

    @model_validator(mode="before")
    @classmethod
    def _from_format_1(cls, data: Any) -> Any:
        """Format 1 repeated the resolution, and said nothing of transparent parts that were dropped."""
        if not isinstance(data, Mapping) or data.get("format") != 1:
            return data
        arch, preprocessing = data.get("arch"), data.get("preprocessing")
        if not isinstance(arch, Mapping) or not isinstance(preprocessing, Mapping):
            return data
        own = {"transparency": "dropped", **preprocessing}
        if (repeated := own.pop("resolution", None)) != arch.get("resolution"):
            raise ValueError(f"preprocessing.resolution is {repeated!r}, arch.resolution is not")
        return {**data, "format": 2, "preprocessing": own}


class EntryConfig(Sparse):
    """config.json: timm's schema, which serves timm and the Hub, and our own part beside it."""

    LEFT_OUT: ClassVar = ("label_names",)  # timm expects them or nothing

    architecture: Literal["attentive_nas"] = "attentive_nas"
    num_classes: int = Field(ge=1, le=MAX_CLASSES)
    num_features: int = Field(ge=1)
    global_pool: Literal["avg"] = "avg"
    label_names: tuple[str, ...] | None = None
    model_args: ModelArgs
    pretrained_cfg: PretrainedConfig
    anas: AnasInfo

    @property
    def arch(self) -> Architecture:
        """The architecture as a value."""
        return Architecture.from_dict(self.anas.arch)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        own, cfg, pre = self.anas, self.pretrained_cfg, self.anas.preprocessing
        side = self.arch.resolution
        pairs: Mapping[str, tuple[object, object]] = {
            "anas.arch and model_args.arch": (own.arch, self.model_args.arch),
            "anas.arch_id and the architecture's id": (own.arch_id, self.arch.id),
            "num_classes and pretrained_cfg.num_classes": (self.num_classes, cfg.num_classes),
            "pretrained_cfg.input_size and the resolution": (cfg.input_size, (3, side, side)),
            "interpolation": (pre.interpolation, cfg.interpolation),
            "crop_pct": (pre.crop_pct, cfg.crop_pct),
            "mean": (pre.mean, cfg.mean),
            "std": (pre.std, cfg.std),
        }
        problems = [f"{what} differ ({a} and {b})" for what, (a, b) in pairs.items() if a != b]
        if self.label_names is not None and len(self.label_names) != self.num_classes:
            problems.append(f"{len(self.label_names)} label_names for {self.num_classes} classes")
        if own.weights is not None and (cfg.license or "") != hub_licence(own.weights.licence or ""):
            problems.append(
                f"pretrained_cfg.license {cfg.license!r} is not the weights' {own.weights.licence!r}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def compose_config(
    *,
    name: str,
    arch: Architecture,
    structure: Structure,
    space: SpaceInfo,
    num_classes: int,
    preprocessing: Preprocessing,
    label_names: Sequence[str] | None = None,
    licence: str | None = None,
    weights: WeightsInfo | None = None,
    calibration: Calibration | None = None,
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
            "name": name,
            "arch": arch.to_dict(),
            "arch_id": arch.id,
            "space": space.model_dump(),
            "weights": None if weights is None else weights.model_dump(),
            "calibration": None if calibration is None else calibration.model_dump(),
            "preprocessing": preprocessing.model_dump(),
        },
    }
    return parse(EntryConfig, data, f"config of {name}", error=EntryError)
