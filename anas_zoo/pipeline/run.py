"""The folders of runs: where each stage finds what it needs and leaves what it made.

    RUN/run.json                    the recipe, every default filled in; where its files lie
        split.json                  which image is in which part
        training/                   checkpoints/, metrics.jsonl, tensorboard/: grows while training
        supernet/                   supernet.json, supernet.safetensors, metrics.jsonl, training.png
        search/                     search.json, evaluations.jsonl: grows; at the end front.json, .png, .html
        subnets/NAME/               drafts: extracted, calibrated, tested, profiled, exported, validated
        zoo/NAME/                   published entries
        summary.json, front.png     what came out

The folder of a fine-tuning has run.json, split.json, training/ and subnets/NAME, the draft of the new entry.

Each of them but training/ and search/ appears in one rename when its stage has succeeded; a run that was
stopped resumes with the first one that is missing, a training with its latest checkpoint, a search with its
last evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from anas_zoo.core.errors import CheckpointError, EntryError, OutputError
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import Schema, parse
from anas_zoo.data import ImagesAt, ImageSource, ViewsAt, with_preprocessing
from anas_zoo.entry import (
    CONFIG,
    SUPERNET_WEIGHTS,
    WEIGHTS,
    Ancestor,
    Entry,
    Preprocessing,
    SpaceInfo,
    SupernetConfig,
)
from anas_zoo.entry.licence import licence_of_derived, no_weights
from anas_zoo.entry.manifest import SUPERNET_PLACE
from anas_zoo.nets import Supernet, load_supernet, save_supernet
from anas_zoo.pipeline.recipe import FinetuneRecipe, Recipe, default_recipe
from anas_zoo.pipeline.run_folder import MARKER, Places, RunFolder, kind_of_run, places_of
from anas_zoo.searching import SearchRecipe
from anas_zoo.space import SearchSpace

NAMES_OF_THREE = ("s", "m", "l")


class Run(RunFolder[Recipe]):
    """The folder of a run from images to entries, together with its recipe."""

    kind = "supernet"

    def __init__(self, folder: Path, recipe: Recipe, places: Places | None = None) -> None:
        super().__init__(folder, recipe, places)
        self.supernet_folder = folder / SUPERNET_PLACE
        self.supernet_file = self.supernet_folder / SUPERNET_WEIGHTS
        self.search_folder = folder / "search"
        self.zoo_folder = folder / "zoo"
        self.summary_file = folder / "summary.json"

    @classmethod
    def start(cls, folder: Path, recipe: Recipe) -> Run:
        """A new run in ``folder``, or the unfinished one of the same recipe that is there.

        One of another recipe that failed before it made anything gives way. Where the recipe names the same
        images at another place, that is remembered.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included.
        """
        return cls(folder, recipe)._started()

    @classmethod
    def _read(cls, folder: Path, marker: dict[str, Any]) -> Self:
        recipe = parse(Recipe, marker.get("recipe"), f"{folder / MARKER}: recipe", error=OutputError)
        return cls(folder, recipe, places_of(marker, folder))

    def _result(self) -> Path | None:
        return self.zoo_folder if self.summary_file.exists() else None

    @property
    def resolution(self) -> int:
        """The largest side in pixels of the networks' inputs."""
        return self.space.largest.resolution

    @classmethod
    def recipe_for(cls, folder: Path, source: str | None, **changes: Any) -> Recipe:
        """The recipe that a call means which resumes the run in ``folder``, or begins one there.

        Args:
            folder: of the run; what was not said stays as it was begun with there.
            source: a recipe's name or file; None for the run's own, or :func:`default_recipe` of a new one.
            changes: that :meth:`Recipe.changed` takes.
        """
        if not (folder / MARKER).is_file():
            chosen = source or default_recipe(changes.get("data"), changes.get("settings"))
            return Recipe.load(chosen, **changes)
        there = cls.open(folder)
        if source is None:
            return there.recipe.changed(**changes)
        if not there._has_begun():  # it may give way to another
            return Recipe.load(source, **changes)
        recipe = there.recipe
        kept = {"data": recipe.data, "seed": recipe.seed, "sampling": recipe.train.sampling.strategy}
        return Recipe.load(source, **(kept | {key: v for key, v in changes.items() if v is not None}))

    @cached_property
    def located(self) -> Recipe:
        """The recipe with the files that it names as they are found from here."""
        recipe, file = self.recipe, self.places.file
        sampling = recipe.train.sampling
        sampling = sampling.model_copy(update={"predictor": file(sampling.predictor)})
        train = recipe.train.model_copy(update={"sampling": sampling})
        search = recipe.search.model_copy(update={"latency": file(recipe.search.latency)})
        return recipe.model_copy(update={"space": file(recipe.space), "train": train, "search": search})

    @cached_property
    def space(self) -> SearchSpace:
        """The recipe's search space."""
        return SearchSpace.load(self.located.space)

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet. Raises :class:`CheckpointError` when it is not there."""
        if not self.supernet_file.is_file():
            raise CheckpointError(
                f"{self.folder} has no trained supernet; train it: ",
                Call("train", out=self.folder, resume=True),
            )
        return load_supernet(self.supernet_folder)

    @property
    def provenance(self) -> str:
        """In words, where the trained weights come from."""
        source = self.source
        return (
            f"trained by anas-zoo with the recipe {self.recipe.name!r}, seed {self.recipe.seed}, on "
            f"{source.title} (licence of the images: {source.licence})"
        )

    def write_supernet(
        self, folder: Path, supernet: Supernet, trained: Mapping[str, Any] | None = None
    ) -> SupernetConfig:
        """Write a supernet of this run into ``folder``, which becomes ``RUN/supernet``.

        ``trained`` says in plain data how its weights came about. Returns the record.
        """
        return save_supernet(
            folder,
            supernet,
            name=self.recipe.name,
            licence=self.recipe.licence,
            source=self.provenance,
            preprocessing=self.source.preprocessing,
            label_names=self.source.label_names,
            trained=trained,
        )

    @property
    def calibration_images(self) -> ImagesAt:
        """The training images that every calibration of the search and after it uses."""
        return self.training_images(self.recipe.search.calibration_images)

    def search_images(self, recipe: SearchRecipe | None = None) -> ViewsAt:
        """The images that subnets are scored on, as many and in as many views as ``recipe`` says.

        ``recipe`` is the run's by default. No image of another split can be reached through them.
        """
        recipe = recipe or self.recipe.search
        return ViewsAt(
            self.scoring_images(recipe.images),
            self.resolution,
            self.recipe.train.augmentation,
            recipe.views,
            self.recipe.seed,
        )

    def entry_names(self, count: int) -> list[str]:
        """Names of ``count`` entries from small to large: name_s, name_m, name_l when there are three."""
        suffixes = NAMES_OF_THREE if count == 3 else tuple(str(i) for i in range(count))
        return [f"{self.recipe.name}_{suffix}" for suffix in suffixes]


class Origin(Schema):
    """The entry that a fine-tuning starts from, as its run remembers it."""

    name: str
    arch_id: str
    weights_sha256: str
    licence: str
    space: SpaceInfo
    resolution: int = Field(ge=1)
    preprocessing: Preprocessing
    ancestors: tuple[Ancestor, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_version_0_1(cls, data: Any) -> Any:
        """Fine-tunings begun with 0.1 have the resolution among the preprocessing."""
        old = data.get("preprocessing") if isinstance(data, dict) else None
        if not isinstance(old, dict) or "resolution" not in old:
            return data
        kept = {key: value for key, value in old.items() if key != "resolution"}
        return data | {
            "resolution": old["resolution"],
            "preprocessing": {"transparency": "dropped"} | kept,
        }

    @property
    def lineage(self) -> tuple[Ancestor, ...]:
        """What becomes of the entry's weights is made from all these, the oldest first."""
        own = Ancestor(name=self.name, sha256=self.weights_sha256, licence=self.licence)
        return (*self.ancestors, own)

    @classmethod
    def of(cls, entry: Entry) -> Origin:
        """What to remember of ``entry``.

        Raises :class:`NoWeightsError` for weights that are not distributed, :class:`EntryError` when their
        file is missing.
        """
        own = entry.config.anas
        if own.weights is None:
            raise no_weights(entry.config)
        if own.weights.licence is None:
            raise EntryError(
                f"{entry.folder} has no licence yet, which decides under which one its descendants may be; "
                "publish it first: ",
                Call("publish", entry.folder, to="DIR", licence="SPDX"),
            )
        if not entry.has_weights:
            raise EntryError(f"{entry.folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
        return cls(
            name=entry.name,
            arch_id=own.arch_id,
            weights_sha256=own.weights.sha256,
            licence=own.weights.licence,
            space=own.space,
            resolution=entry.config.arch.resolution,
            preprocessing=own.preprocessing,
            ancestors=own.weights.lineage,
        )


class FinetuneRun(RunFolder[FinetuneRecipe]):
    """The folder of a fine-tuning, together with its recipe and the entry that it starts from."""

    kind = "finetune"

    def __init__(
        self, folder: Path, recipe: FinetuneRecipe, origin: Origin, places: Places | None = None
    ) -> None:
        super().__init__(folder, recipe, places)
        self.origin = origin
        self.name = recipe.name or f"{origin.name}_finetuned"
        self.licence = licence_of_derived(origin.licence, recipe.licence)
        self.draft_folder = self.drafts_folder / self.name

    @classmethod
    def start(cls, folder: Path, recipe: FinetuneRecipe, entry: Entry) -> FinetuneRun:
        """A new run in ``folder``, or the unfinished one of the same recipe and entry that is there.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included,
        :class:`DataError` for images of a single class, and as :meth:`Origin.of` does.
        """
        return cls(folder, recipe, Origin.of(entry))._started()

    @classmethod
    def _read(cls, folder: Path, marker: dict[str, Any]) -> Self:
        where = folder / MARKER
        recipe = parse(FinetuneRecipe, marker.get("recipe"), f"{where}: recipe", error=OutputError)
        origin = parse(Origin, marker.get("entry"), f"{where}: entry", error=OutputError)
        return cls(folder, recipe, origin, places_of(marker, folder))

    def _identity(self) -> dict[str, Any]:
        return super()._identity() | {"entry": self.origin.model_dump(mode="json")}

    def _result(self) -> Path | None:
        return self.draft_folder if self.drafts_folder.exists() else None

    @property
    def resolution(self) -> int:
        """The side in pixels of the network's inputs."""
        return self.origin.resolution

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images, preprocessed as the entry's are, and transparent parts of them on white.

        So the network is calibrated, watched and tested; training views are drawn as the recipe says.
        """
        preprocessing = self.origin.preprocessing.model_copy(update={"transparency": "white"})
        return with_preprocessing(self._open_images(), preprocessing)


def run_of_draft(folder: Path, data: str | None = None) -> RunFolder[Any] | None:
    """The run of a draft ``RUN/subnets/NAME``, its images at ``data`` if given; None for other folders.

    Raises :class:`OutputError` for a run whose file cannot be read, and
    :class:`DataError` for other images than the run's.
    """
    folder = folder.resolve()
    run = folder.parent.parent
    if folder.parent.name != "subnets" or not (run / MARKER).is_file():
        return None
    return FinetuneRun.open(run, data) if kind_of_run(run) == "finetune" else Run.open(run, data)
