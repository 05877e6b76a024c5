"""Recipes of runs and fine-tunings: everything that decides what they do, in one file."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from anas_zoo.core.errors import ConfigError, nearest
from anas_zoo.core.hints import Option, Part
from anas_zoo.core.plain_data import PlainDataError, parse_yaml
from anas_zoo.core.schema import Schema, Sparse, parse, read_yaml
from anas_zoo.data import SplitRecipe
from anas_zoo.searching import SearchRecipe
from anas_zoo.space.structure import Activation
from anas_zoo.training import DistillationRecipe, EvaluationRecipe, TrainRecipe

Settings: TypeAlias = Sequence[str] | Mapping[str, Any]

RECIPES = Path(__file__).parent / "recipes"
OF_A_SOURCE = ("digits", "glyphs")  # sources of images that have a recipe of the same name
FOR_OWN_IMAGES = "own_images"
FROM_A_SUPERNET = "pretrained"
PRETRAINED = "pretrained"  # after a name and a colon: one of timm's networks with its weights
BY_IMAGES = "auto"  # a space that follows from the images
# What says how subnets share weights; a fixed network has none.
OF_SUPERNETS = ("subnets_per_step", "sampling", "distillation", "size_weights", "sync_batch_norm")


def with_changes(
    recipe: Mapping[str, Any], changes: Mapping[str, Any], settings: Settings | None = None
) -> dict[str, Any]:
    """Plain data of a recipe with other values; ``recipe`` stays as it is.

    Args:
        recipe: plain data, not yet validated.
        changes: dotted key -> value; None leaves a key as it is.
        settings: further changes, which win: text such as ``train.epochs=10``, or values by dotted keys.

    Raises :class:`ConfigError` for a setting that cannot be understood.
    """
    wanted = [(key, value) for key, value in changes.items() if value is not None]
    if isinstance(settings, Mapping):
        wanted += settings.items()
        settings = None
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(Option("set_", text), ": give KEY=VALUE, such as train.epochs=10")
        try:
            wanted.append((key.strip(), parse_yaml(value)))
        except PlainDataError as exc:
            raise ConfigError(Option("set_", text), ": the value is not valid YAML") from exc
    found = copy.deepcopy(dict(recipe))
    for key, value in wanted:
        *path, last = key.split(".")
        part = found
        for name in path:
            if part.get(name) is None:
                part[name] = {}
            part = part[name]
            if not isinstance(part, dict):
                raise ConfigError(Option("set_", key), f": {name!r} has no keys below it")
        part[last] = value
    return found


def default_recipe(data: str | None, settings: Settings | None = None, init: str | None = None) -> str:
    """Name of the recipe where none was asked for: one that was made for the weights or the images.

    Args:
        data: the source of images that was asked for, if any.
        settings: further changes as text, such as ``data=DIR``.
        init: the supernet that was asked for, if any.
    """
    wanted = with_changes({}, {"data": data, "init": init}, settings)
    if wanted.get("init") is not None:
        return FROM_A_SUPERNET
    if wanted.get("data") is None:
        return OF_A_SOURCE[0]
    return wanted["data"] if wanted["data"] in OF_A_SOURCE else FOR_OWN_IMAGES


class RunRecipe(Sparse):
    """What the recipes of all kinds of runs have in common.

    Attributes:
        data: a source of images (see :func:`anas_zoo.data.open_source`); None in a recipe that waits for
            its user's, which no run begins without.
        seed: every random choice follows from it.
        threads: threads of torch, 0 for torch's own choice.
    """

    data: str | None = None
    seed: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)
    split: SplitRecipe = SplitRecipe()
    train: TrainRecipe

    def images(self) -> str:
        """The source of images. Raises :class:`ConfigError` if none is named."""
        if self.data is None:
            raise ConfigError(
                "this recipe has no images of its own; give ",
                Option("data", "DIR"),
                ", a folder with one sub-folder of images per class (or hfds/NAME, wds/DIR)",
            )
        return self.data


class WinnersRecipe(Schema):
    """How the subnets that a search chose are trained on, each as a fixed network.

    The largest is trained first and then teaches the others. Images, batches and augmentation are those of
    the supernet's training.

    Attributes:
        epochs: of the training of each; a run of so many minutes finds its own.
        optimizer: as of the supernet's training.
        learning_rate: highest of the schedule.
        weight_decay: of convolutions and linear layers.
        warmup_epochs: over which the rate rises.
        start: from the supernet's weights, or from drawn ones (``scratch``). ``pretrained``: there is no
            supernet and no search; they are the first stages of the network that the run starts from, each
            with a linear probe, and trained on where there is time for enough epochs.
        distillation: whether the largest teaches the others; without, they learn from the labels alone.
    """

    epochs: int = Field(30, ge=1)
    optimizer: Literal["sgd", "muon"] = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup_epochs: float = Field(2.0, ge=0)
    start: Literal["supernet", "scratch", "pretrained"] = "supernet"
    distillation: bool = True

    @model_validator(mode="after")
    def _warms_up_first(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be under epochs {self.epochs}")
        return self

    def training(self, supernet: TrainRecipe) -> TrainRecipe:
        """The training of one of them, where that of the supernet is ``supernet``."""
        own = self.model_dump(
            include={"epochs", "optimizer", "learning_rate", "weight_decay", "warmup_epochs"}
        )
        own["distillation"] = DistillationRecipe(loss="kl" if self.distillation else "none")
        if self.start == "pretrained":  # its classifier is fitted already
            own["classifier_rate_factor"] = 1.0
        return supernet.model_copy(update=own)


class Recipe(RunRecipe):
    """One run from images to entries.

    Attributes:
        name: the entries are called name_s, name_m, name_l.
        space: a preset's name or a YAML file of a search space; ``auto`` for the one that fits the images;
            None with ``init``, whose space it is.
        init: the supernet whose weights the run starts from: a folder, a run, or ``hf-hub:org/name``. With a
            space instead they are drawn; a recipe without either waits for its user's supernet.
        crop_pct: side of the centre crop over the resized short side, where subnets are measured; None for
            the images' own: 1, so that nothing is cut off the short side; with ``init`` for the supernet's.
        licence: SPDX name of the licence that the trained weights get. It is never defaulted: without one
            everything works but publishing, which asks for it.
        minutes: that the whole run may take on this machine: it measures what its parts take and divides
            them, instead of the epochs and evaluations of the recipe. None: as many of those as it says.
        resolution: only these of the space's resolutions, in pixels.
        winners: how what the search chose is trained on; None where it is extracted as it is.
        yardstick: whether a plain network is trained beside, on the same images.
        beside: timm's networks that are trained beside as well, ``NAME`` from drawn weights or
            ``NAME:pretrained`` from timm's.
        try_flips: whether a short trial decides if training flips images.
        targets: deployment targets that every model is exported for beside the default one.
    """

    # It has one of the first two; the others came after 0.2.
    LEFT_OUT: ClassVar = (
        "space",
        "init",
        "crop_pct",
        "minutes",
        "resolution",
        "winners",
        "yardstick",
        "beside",
        "try_flips",
        "targets",
    )

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    space: str | None = Field(None, min_length=1)
    crop_pct: float | None = Field(None, gt=0, le=1)
    licence: str | None = Field(None, min_length=1)
    search: SearchRecipe
    init: str | None = Field(None, min_length=1)
    minutes: float | None = Field(None, gt=0, allow_inf_nan=False)
    resolution: tuple[int, ...] | None = Field(None, min_length=1)
    winners: WinnersRecipe | None = None
    yardstick: bool = False
    beside: tuple[str, ...] = ()
    try_flips: bool = False
    targets: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        if self.space is not None and self.init is not None:
            raise ValueError(
                f"the space is that of init, {self.init}: leave out space ({self.space}), or init"
            )
        return self

    @model_validator(mode="after")
    def _has_what_its_winners_start_from(self) -> Self:
        if self.space is not None and self.winners is not None and self.winners.start == "pretrained":
            raise ValueError("winners.start: pretrained needs weights: give init, and no space")
        return self

    @field_validator("beside")
    @classmethod
    def _names_networks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(rf"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?(:{PRETRAINED})?", name):
                raise ValueError(f"{name!r}: give a network of timm's, NAME or NAME:{PRETRAINED}")
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _trains_plain_networks_as_winners(self) -> Self:
        if self.winners is None and (self.yardstick or self.try_flips):
            raise ValueError("yardstick and try_flips train as winners says: give winners, or leave them out")
        return self

    def own_space(self) -> str:
        """The search space by name or file. Raises :class:`ConfigError` if none is named."""
        if self.space is None:
            raise ConfigError(
                "this recipe has no search space of its own; give ",
                Option("init", "SUPERNET"),
                ", a trained supernet to start from, or a space in the recipe",
            )
        return self.space

    @classmethod
    def load(cls, source: str | Path, **changes: Any) -> Recipe:
        """The recipe of a preset's name or of a YAML file, with the ``changes`` that :meth:`changed` takes.

        A preset's licence is for the preset's images: on others it is None until chosen.

        Raises :class:`ConfigError` that lists every problem, with the nearest valid key.
        """
        path, label = Path(source), str(source)
        if path.suffix not in (".yaml", ".yml"):
            known = cls.presets()
            if str(source) not in known:
                raise ConfigError(
                    f"no recipe named {str(source)!r}{nearest(str(source), known)}; recipes: "
                    f"{', '.join(known)}; or give a .yaml file"
                )
            path, label = RECIPES / f"{source}.yaml", f"recipe {source}"
        data = read_yaml(path)
        if not isinstance(data, dict):
            return parse(cls, data, label)
        wanted = _changed(data, **changes)
        if path.parent == RECIPES and wanted.get("data") != data.get("data"):
            wanted = _changed({key: value for key, value in data.items() if key != "licence"}, **changes)
        return parse(cls, wanted, label)

    def changed(
        self,
        *,
        data: str | None = None,
        seed: int | None = None,
        sampling: str | None = None,
        settings: Settings | None = None,
        init: str | None = None,
        minutes: float | None = None,
        beside: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
    ) -> Recipe:
        """This recipe with these images, this seed and so on, ``sampling`` its strategy, where not None.

        ``settings`` are further changes as text, such as ``train.epochs=10``. Raises :class:`ConfigError`.
        """
        plain = _changed(
            self.to_dict(),
            data=data,
            seed=seed,
            sampling=sampling,
            settings=settings,
            init=init,
            minutes=minutes,
            beside=beside,
            targets=targets,
        )
        return parse(Recipe, plain, f"recipe {self.name}")

    @staticmethod
    def presets() -> list[str]:
        """Names of the recipes that come with the package."""
        return sorted(path.stem for path in RECIPES.glob("*.yaml"))


_ABOUT: dict[str, tuple[Part, ...]] = {
    "digits": ("on the digits of scikit-learn; for your own images give ", Option("data", "DIR")),
    "glyphs": ("on characters drawn from matplotlib's fonts",),
    "pretrained": ("for a new head and a few epochs of all weights",),
    "own_images": ("which fits the search space to the images",),
}


def about_recipe(name: str) -> tuple[Part, ...]:
    """A line that names a recipe that was chosen by default."""
    others = ", ".join(other for other in Recipe.presets() if other != name)
    end = f" (others: {others}, or FILE.yaml)"
    return ("  no ", Option("recipe"), f" given, so it is {name}, ", *_ABOUT[name], end)


def _changed(
    recipe: dict[str, Any],
    *,
    data: str | None = None,
    seed: int | None = None,
    sampling: str | None = None,
    settings: Settings | None = None,
    init: str | None = None,
    minutes: float | None = None,
    beside: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Plain data of a recipe with the changes of a command line."""
    changes: dict[str, Any] = {"data": data, "seed": seed, "init": init, "minutes": minutes}
    changes["beside"] = None if beside is None else list(beside)
    changes["targets"] = None if targets is None else list(targets)
    changes["train.sampling.strategy"] = sampling
    return with_changes(recipe, changes, settings)


class FinetuneEvaluationRecipe(EvaluationRecipe):
    """How fine-tuning watches itself; ``sampled`` is for supernets."""

    every_epochs: int = Field(2, ge=1)


class FinetuneTrainRecipe(TrainRecipe):
    """Training of one fixed network; what only a supernet has keeps its default."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=2)
    learning_rate: float = Field(0.05, gt=0)
    warmup_epochs: float = Field(1.0, ge=0)
    drop_path_rate: float = Field(0.0, ge=0, lt=1)  # of the last block, as everywhere
    evaluation: FinetuneEvaluationRecipe = FinetuneEvaluationRecipe()

    @model_validator(mode="after")
    def _nothing_of_supernets(self) -> Self:
        given = _changed_of(self, OF_SUPERNETS)
        given += [f"evaluation.{key}" for key in _changed_of(self.evaluation, ("sampled",))]
        if given:
            raise ValueError(f"{', '.join(given)}: only for supernets; leave it out")
        return self


def _changed_of(recipe: Schema, keys: tuple[str, ...]) -> list[str]:
    # Compared by value: a recipe that was written down has every key.
    fields = type(recipe).model_fields
    return [key for key in keys if getattr(recipe, key) != fields[key].default]


class FinetuneRecipe(RunRecipe):
    """One fine-tuning.

    Attributes:
        name: of the new entry; None for the entry's with ``_finetuned``.
        licence: SPDX name of the licence of the new weights; None for the entry's.
        activation: of the new network, outside of squeeze-and-excite; None for the entry's.
        squeeze_excite: whether the new network keeps the entry's squeeze-and-excite.
        qat: whether it is trained as its int8 file will compute (quantization-aware training).
        calibration_images: training images that the new batch norms are calibrated on.
        calibration_batch_size: images per batch of that.
    """

    LEFT_OUT: ClassVar = ("activation", "squeeze_excite", "qat")  # what came after 0.2

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    licence: str | None = Field(None, min_length=1)
    activation: Activation | None = None
    squeeze_excite: bool = True
    qat: bool = False
    train: FinetuneTrainRecipe = FinetuneTrainRecipe()
    calibration_images: int = Field(512, ge=2)
    calibration_batch_size: int = Field(128, ge=2)

    @property
    def simplification(self) -> str:
        """What the new network's structure has otherwise than the entry's, in words; empty for nothing."""
        act = [] if self.activation is None else [f"with activation {self.activation}"]
        return " and ".join(act + ([] if self.squeeze_excite else ["without squeeze-and-excite"]))

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        changes: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
    ) -> FinetuneRecipe:
        """The recipe of a YAML file, or the defaults.

        Args:
            path: the file.
            changes: other values of keys, where they are not None.
            settings: further changes as text, such as ``train.epochs=10``.

        Raises :class:`ConfigError` that lists every problem, with the nearest valid key.
        """
        if path is None:
            return _parsed(with_changes({}, changes or {}, settings), "fine-tuning")
        data = read_yaml(path)
        return _parsed(
            with_changes(data, changes or {}, settings) if isinstance(data, dict) else data, str(path)
        )

    def changed(self, changes: Mapping[str, Any], settings: Settings | None = None) -> FinetuneRecipe:
        """This recipe with the changes that :meth:`load` takes. Raises :class:`ConfigError`."""
        return _parsed(with_changes(self.to_dict(), changes, settings), "fine-tuning")


def _parsed(data: Any, source: str) -> FinetuneRecipe:
    if isinstance(data, dict) and data.get("data") is None:
        raise ConfigError(
            "no images to fine-tune on; give ", Option("data", "DIR"), ", with one sub-folder per class"
        )
    return parse(FinetuneRecipe, data, source)
