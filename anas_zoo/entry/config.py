"""config.json of an entry as a schema: timm's, and our own part beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from anas_zoo.core.errors import SpaceError
from anas_zoo.core.geometry import REFERENCE_FIXED, Interpolation, Mode, Transparency
from anas_zoo.core.schema import Schema
from anas_zoo.space import Architecture, Structure

if TYPE_CHECKING:
    from anas_zoo.data import Preprocessing

__all__ = [
    "AnasInfo",
    "Ancestor",
    "CalibrationInfo",
    "EntryConfig",
    "ModelArgs",
    "PreprocessingInfo",
    "PretrainedConfig",
    "SpaceInfo",
    "WeightsInfo",
    "hub_licence",
]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MAX_CLASSES = 100_000  # ImageNet-21k has 21 843; a classifier of 1984 features and more has 800 MB
Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
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
    std: tuple[Positive, Positive, Positive]
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


class Ancestor(Schema):
    """Weights that others were made from.

    Attributes:
        name: of the entry or the checkpoint.
        sha256: of its file.
        licence: SPDX name of the licence that they are under.
        permission: who allowed what was made from them to have another licence, and where that can be
            read; without it their licence decides.
    """

    name: str = Field(min_length=1)
    sha256: Sha256
    licence: str = Field(min_length=1)
    permission: str | None = Field(None, min_length=1)


class WeightsInfo(Schema):
    """Where the weights come from and under which licence they may be used.

    ``licence`` is None in a draft until somebody chooses one; no entry is published without.
    ``lineage`` lists all weights that these were made from, the oldest first.
    """

    sha256: Sha256
    source: str = Field(min_length=1)
    source_sha256: Sha256 | None = None
    licence: str | None
    lineage: tuple[Ancestor, ...] = ()

    @model_serializer(mode="wrap")
    def _without_an_empty_lineage(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Entries published before there was a lineage keep their bytes."""
        data: dict[str, Any] = serialise(self)
        return {key: value for key, value in data.items() if key != "lineage" or value}


class CalibrationInfo(Schema):
    """What the batch norm statistics were measured on (see :class:`anas_zoo.nets.Calibration`)."""

    batches: int = Field(ge=1)
    images: int = Field(ge=1)
    resolution: int = Field(ge=1)
    sha256: Sha256


class PreprocessingInfo(Schema):
    """How an image becomes the network's input.

    ``native``: shorter side to ⌊R / crop_pct⌋, centre crop R, as timm evaluates. ``reference``: the
    AttentiveNAS authors' way, a 224 crop of a 256 image (bilinear) that is then resized to R (bicubic);
    it fixes ``interpolation`` and ``crop_pct``, which may be left out and may not say anything else.
    ``transparency`` says what becomes of transparent parts; a config without it dropped them.
    """

    mode: Mode = "native"
    resolution: int = Field(ge=1)
    interpolation: Interpolation = "bicubic"
    crop_pct: float = Field(0.875, gt=0.0, le=1.0)
    mean: Channels = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    colour: Literal["rgb"] = "rgb"
    transparency: Transparency = "dropped"

    @model_serializer(mode="wrap")
    def _without_what_is_dropped(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Entries that say nothing of transparency keep their bytes."""
        data: dict[str, Any] = serialise(self)
        return {key: value for key, value in data.items() if (key, value) != ("transparency", "dropped")}

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("mode") == "reference":
            return REFERENCE_FIXED | dict(data)
        return data

    @model_validator(mode="after")
    def _as_the_mode_has_it(self) -> Self:
        wrong = [
            f"{key} is {value!r} in the mode 'reference', not {getattr(self, key)!r}"
            for key, value in REFERENCE_FIXED.items()
            if self.mode == "reference" and getattr(self, key) != value
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def to_preprocessing(self) -> Preprocessing:
        """The same as :class:`anas_zoo.data.Preprocessing`, which makes torch tensors."""
        from anas_zoo.data import Preprocessing

        return Preprocessing(
            self.interpolation, self.crop_pct, self.mean, self.std, self.mode, self.transparency
        )


class AnasInfo(Schema):
    """What timm's schema has no place for."""

    format: Literal[1] = 1
    name: Name
    arch: ArchDict
    arch_id: str
    space: SpaceInfo
    weights: WeightsInfo | None
    calibration: CalibrationInfo | None
    preprocessing: PreprocessingInfo


class EntryConfig(Schema):
    """config.json: timm's schema, which serves timm and the Hub, and our own part beside it."""

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
        return Architecture.from_dict(self.model_args.arch)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for config.json; absent label names are left out, as timm expects."""
        data: dict[str, Any] = self.model_dump(mode="json")
        if self.label_names is None:
            del data["label_names"]
        return data

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        own, cfg, pre = self.anas, self.pretrained_cfg, self.anas.preprocessing
        side = self.arch.resolution
        pairs: Mapping[str, tuple[object, object]] = {
            "anas.arch and model_args.arch": (own.arch, self.model_args.arch),
            "anas.arch_id and the architecture's id": (own.arch_id, self.arch.id),
            "num_classes and pretrained_cfg.num_classes": (self.num_classes, cfg.num_classes),
            "pretrained_cfg.input_size and the resolution": (cfg.input_size, (3, side, side)),
            "anas.preprocessing.resolution and the resolution": (pre.resolution, side),
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
