"""config.json of an entry as a schema: timm's, and our own part beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from anas_zoo.core.errors import EntryError, SpaceError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.geometry import Interpolation
from anas_zoo.core.schema import Schema, Sparse, parse
from anas_zoo.entry.preprocessing import Channels, Preprocessing, Scales
from anas_zoo.space import Architecture, Structure, plan_network

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MAX_CLASSES = 100_000  # ImageNet-21k has 21 843; a classifier of 1984 features and more has 800 MB
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Layers = str | tuple[str, ...] | None  # timm's name of a layer, or of several

# What config.json calls the architecture of a subnet, and of code that is not here; else it is timm's name.
FAMILY, OWN = "attentive_nas", "own_network"


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
    fixed_input_size: bool = False
    interpolation: Interpolation
    crop_pct: float = Field(gt=0.0, le=1.0)
    crop_mode: Literal["center"] = "center"
    mean: Channels
    std: Scales
    num_classes: int = Field(ge=1)
    pool_size: tuple[int, int] | None = None
    first_conv: Layers = "stem.conv"
    classifier: Layers = "classifier"
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


class AnasInfo(Sparse):
    """What timm's schema has no place for.

    ``arch`` and ``space`` are of subnets alone.
    """

    LEFT_OUT: ClassVar = ("arch", "space")

    format: Literal[2] = 2
    name: Name
    arch: ArchDict | None = None
    arch_id: str
    space: SpaceInfo | None = None
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
    """config.json: timm's schema, which serves timm and the Hub, and our own part beside it.

    The network is a subnet of a search space, one of timm's own, or one of somebody's code that is not here.
    """

    LEFT_OUT: ClassVar = ("label_names", "model_args")  # timm expects them or nothing

    architecture: Name = FAMILY
    num_classes: int = Field(ge=1, le=MAX_CLASSES)
    num_features: int = Field(ge=0)
    global_pool: str = "avg"
    label_names: tuple[str, ...] | None = None
    model_args: ModelArgs | None = None
    pretrained_cfg: PretrainedConfig
    anas: AnasInfo

    @property
    def is_subnet(self) -> bool:
        """Whether the network is a subnet of a search space, and not one of timm's own."""
        return self.architecture == FAMILY

    @property
    def is_own(self) -> bool:
        """Whether the network is of code that is not here, so that only its exported files run."""
        return self.architecture == OWN

    @property
    def title(self) -> str:
        """What the network is, in a few words."""
        if self.is_own:
            return "a network of its author's own code"
        return f"timm's network {self.architecture}" if self.anas.arch is None else f"subnet {self.arch.id}"

    @property
    def resolution(self) -> int:
        """Side of the network's input in pixels."""
        return self.pretrained_cfg.input_size[1]

    @property
    def arch(self) -> Architecture:
        """The architecture as a value; raises :class:`EntryError` for a network of timm's own."""
        if self.anas.arch is None:
            raise self._no_subnet()
        return Architecture.from_dict(self.anas.arch)

    @property
    def structure(self) -> Structure:
        """What the architecture's choices are put into; raises :class:`EntryError` likewise."""
        if self.model_args is None:
            raise self._no_subnet()
        return self.model_args.structure

    @property
    def space(self) -> SpaceInfo:
        """Where the architecture was found; raises :class:`EntryError` likewise."""
        if self.anas.space is None:
            raise self._no_subnet()
        return self.anas.space

    def _no_subnet(self) -> EntryError:
        return EntryError(
            f"{self.anas.name} is {self.title}, and this is for subnets of a search space alone"
        )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        own, cfg, pre = self.anas, self.pretrained_cfg, self.anas.preprocessing
        pairs: Mapping[str, tuple[object, object]] = {
            "num_classes and pretrained_cfg.num_classes": (self.num_classes, cfg.num_classes),
            "interpolation": (pre.interpolation, cfg.interpolation),
            "crop_pct": (pre.crop_pct, cfg.crop_pct),
            "mean": (pre.mean, cfg.mean),
            "std": (pre.std, cfg.std),
        }
        problems = self._of_the_family() if self.is_subnet else self._of_others()
        problems += [f"{what} differ ({a} and {b})" for what, (a, b) in pairs.items() if a != b]
        if self.label_names is not None and len(self.label_names) != self.num_classes:
            problems.append(f"{len(self.label_names)} label_names for {self.num_classes} classes")
        if own.weights is not None and (cfg.license or "") != hub_licence(own.weights.licence or ""):
            problems.append(
                f"pretrained_cfg.license {cfg.license!r} is not the weights' {own.weights.licence!r}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _of_the_family(self) -> list[str]:
        """What does not fit, of a subnet's config."""
        own, cfg, args = self.anas, self.pretrained_cfg, self.model_args
        parts = {"model_args": args, "anas.arch": own.arch, "anas.space": own.space}
        if args is None or own.arch is None or own.space is None:
            return [f"missing {what}" for what, part in parts.items() if part is None]
        side = self.arch.resolution
        pairs: Mapping[str, tuple[object, object]] = {
            "anas.arch and model_args.arch": (own.arch, args.arch),
            "anas.arch_id and the architecture's id": (own.arch_id, self.arch.id),
            "pretrained_cfg.input_size and the resolution": (cfg.input_size, (3, side, side)),
            "global_pool and the family's": (self.global_pool, "avg"),
            "pretrained_cfg.first_conv and the family's": (cfg.first_conv, "stem.conv"),
            "pretrained_cfg.classifier and the family's": (cfg.classifier, "classifier"),
        }
        return [f"{what} differ ({a} and {b})" for what, (a, b) in pairs.items() if a != b]

    def _of_others(self) -> list[str]:
        """What does not fit, of the config of a network that is no subnet."""
        own, size = self.anas, self.pretrained_cfg.input_size
        parts = {"model_args": self.model_args, "anas.arch": own.arch, "anas.space": own.space}
        stray = [what for what, part in parts.items() if part is not None]
        problems = [f"{what} is of subnets, whose architecture is {FAMILY!r}" for what in stray]
        if size != (3, size[1], size[1]) or size[1] < 1:
            problems.append(f"pretrained_cfg.input_size is {list(size)}, images are (3, R, R)")
        wanted = timm_id(self.architecture, self.resolution)
        if not self.is_own and own.arch_id != wanted:
            problems.append(f"anas.arch_id is {own.arch_id}, that of the network is {wanted}")
        if own.weights is None:
            problems.append("anas.weights is missing")
        return problems


def timm_id(name: str, resolution: int) -> str:
    """Short content hash of a network of timm's own, as an architecture has one."""
    return sha256_bytes(canonical_json({"timm": name, "resolution": resolution}).encode())[:12]


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
        "architecture": FAMILY,
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


def compose_other_config(
    architecture: str,
    pretrained_cfg: Mapping[str, Any],
    *,
    name: str,
    arch_id: str,
    num_features: int = 0,
    global_pool: str = "",
    preprocessing: Preprocessing,
    label_names: Sequence[str] | None,
    weights: WeightsInfo,
) -> EntryConfig:
    """The config of an entry that is no subnet: a network of timm's own, or of code that is not here.

    Args:
        architecture: timm's name of it, without a tag, or :data:`OWN`.
        pretrained_cfg: timm's, of which the fields of :class:`PretrainedConfig` are taken.
        name: of the entry.
        arch_id: tells the network from others; see :func:`timm_id`.
        num_features: of the network, before its classifier.
        global_pool: the network's, as timm calls it.
        preprocessing: how images are made into inputs.
        label_names: one for each class; None where they are not known.
        weights: where they come from.

    Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    fields = {key: pretrained_cfg[key] for key in PretrainedConfig.model_fields if key in pretrained_cfg}
    licence = {"license": None if weights.licence is None else hub_licence(weights.licence)}
    filters = {"interpolation": preprocessing.interpolation, "crop_pct": preprocessing.crop_pct}
    data: dict[str, Any] = {
        "architecture": architecture,
        "num_classes": pretrained_cfg["num_classes"],
        "num_features": num_features,
        "global_pool": global_pool,
        "label_names": None if label_names is None else [str(label) for label in label_names],
        "pretrained_cfg": fields | filters | licence,
        "anas": {
            "name": name,
            "arch_id": arch_id,
            "weights": weights.model_dump(),
            "calibration": {"kind": "trained"},
            "preprocessing": preprocessing.model_dump(),
        },
    }
    return parse(EntryConfig, data, f"config of {name}", error=EntryError)
