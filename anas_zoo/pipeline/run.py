"""The folders of runs: where each stage finds what it needs and leaves what it made.

    RUN/run.json                    the recipe, every default filled in; where its files lie
        split.json                  which image is in which part
        images.json                 what was seen of the images when the run began
        decoded/                    the decoded images, until the run is finished
        init/                       a copy of the supernet that the training starts from, if it does
        yardstick/                  the plain network beside the run: training/, and its draft
        beside/                     networks of timm's that were asked for: NAME.onnx and what was measured
        training/                   checkpoints/, metrics.jsonl, tensorboard/: grows while training
        supernet/                   supernet.json, supernet.safetensors, metrics.jsonl, training.png
        search/                     search.json, evaluations.jsonl: grows; at the end front.json, .png, .html
        latency.json                a model of this machine's latency, where the search weighs that
        probes/                     truncations of a pretrained network, in the place of supernet/ and search/
        winners/                    winners.json; of each its training: grows
        subnets/NAME/               drafts: extracted, calibrated, tested, profiled, exported, validated
        zoo/NAME/                   published entries
        flips.json                  a trial of flipped images, and whether training flips them
        minutes.json                of a run of so many minutes: what its parts took, what was decided by it
        summary.json, front.png     what came out

The folder of a fine-tuning has run.json, split.json, images.json, training/ and subnets/NAME, the draft of
the new entry.

Each of them but training/ and search/ appears in one rename when its stage has succeeded; a run that was
stopped resumes with the first one that is missing, a training with its latest checkpoint, a search with its
last evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from anas_zoo.core.errors import CheckpointError, OutputError
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note, warn
from anas_zoo.core.schema import parse
from anas_zoo.data import (
    ImagesAt,
    ImageSource,
    Split,
    ViewsAt,
    inspect,
    with_classes,
    with_preprocessing,
)
from anas_zoo.data.sources import BUILT_IN
from anas_zoo.data.splits import check_classes
from anas_zoo.entry import (
    IMAGENET,
    SUPERNET_WEIGHTS,
    Ancestor,
    Entry,
    Preprocessing,
    SupernetConfig,
    SupernetFolder,
)
from anas_zoo.entry.licence import licence_of_derived
from anas_zoo.entry.manifest import SUPERNET_PLACE
from anas_zoo.nets import Supernet, load_supernet, save_supernet
from anas_zoo.pipeline.fitting import fit_to_images
from anas_zoo.pipeline.flips import FlipTrial
from anas_zoo.pipeline.init_supernet import copy_supernet, open_supernet
from anas_zoo.pipeline.matched_classes import match_classes
from anas_zoo.pipeline.origin import Origin, SupernetOrigin
from anas_zoo.pipeline.recipe import BY_IMAGES, FinetuneRecipe, Recipe, default_recipe
from anas_zoo.pipeline.run_folder import MARKER, Places, RunFolder, kind_of_run, places_of
from anas_zoo.searching import SearchRecipe
from anas_zoo.space import SearchSpace
from anas_zoo.training import TrainRecipe

FEW_CLASSES = 0.05  # part of a supernet's classes below which its batch norms may be calibrated badly
NAMES_OF_THREE = ("s", "m", "l")


class Run(RunFolder[Recipe]):
    """The folder of a run from images to entries, together with its recipe."""

    kind = "supernet"

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        places: Places | None = None,
        init: SupernetOrigin | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        super().__init__(folder, recipe, places)
        self.init = init
        self._preprocessing = preprocessing  # that it began with; None for what the images and recipe say
        self._init_supernet: SupernetFolder | None = None
        self.supernet_folder = folder / SUPERNET_PLACE
        self.supernet_file = self.supernet_folder / SUPERNET_WEIGHTS
        self.search_folder = folder / "search"
        self.yardstick_folder = folder / "yardstick"
        self.yardstick_draft = self.yardstick_folder / f"{recipe.name}_plain"
        self.winners_folder = folder / "winners"
        self.probes_folder = folder / "probes"
        self.minutes_file = folder / "minutes.json"
        self.flips_file = folder / "flips.json"
        self.latency_file = folder / "latency.json"
        self.zoo_folder = folder / "zoo"
        self.summary_file = folder / "summary.json"

    @classmethod
    def start(cls, folder: Path, recipe: Recipe, *, as_it_is: bool = False) -> Run:
        """A new run in ``folder``, or the unfinished one of the same recipe that is there.

        One of another recipe that failed before it made anything gives way. Where the recipe names the same
        images at another place, that is remembered. The supernet that a recipe starts from is copied when the
        run begins, and not needed again. ``as_it_is``: that is the trained one, with its own classes.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included;
        :class:`EntryError` for a supernet that cannot be had or has no licence yet; :class:`DataError` for
        images whose classes are not among those of a supernet that is taken as it is.
        """
        if recipe.init is None:
            return cls._fitted(folder, recipe)._started()
        if (folder / MARKER).is_file():
            there = cls.open(folder)
            if there._has_begun() and there.recipe.init == recipe.init:
                return cls(folder, recipe, init=there.init)._started()
        supernet = open_supernet(recipe.init)
        run = cls(folder, recipe, init=SupernetOrigin.of(supernet))
        run._init_supernet = supernet
        _ = run.licence  # a recipe's that cannot be shows before anything is read
        if as_it_is:
            run.recipe = recipe.model_copy(update={"name": _entry_name(supernet.name)})
            run._match_classes(supernet)
        return run._started()

    @classmethod
    def _fitted(cls, folder: Path, recipe: Recipe) -> Run:
        """The run of a recipe that draws its weights; a space that follows from its images is found."""
        run = cls(folder, recipe)
        if recipe.space != BY_IMAGES:
            return run
        there = cls.open(folder) if (folder / MARKER).is_file() else None
        if there is not None and there.recipe.data == recipe.images():
            seen = there.inspection
        else:  # what is in the folder may be of other images
            images = run._open_images()
            check_classes(images, recipe.split)  # before the files are read
            seen = inspect(images)
        fitted = cls(folder, fit_to_images(recipe, seen))
        fitted._images = run._images
        fitted.inspection = seen
        return fitted

    def _match_classes(self, supernet: SupernetFolder) -> None:
        """Find the images' classes among the supernet's, which is taken as it is from now on."""
        config, init = supernet.config, self.init
        assert init is not None
        matched = match_classes(
            self._open_images(),
            name=supernet.name,
            num_classes=config.num_classes,
            label_names=config.label_names,
            again=Call("train", init=self.recipe.init, data=self.recipe.data, out="RUN"),
        )
        self.init = init.model_copy(update={"matched": matched})

    def note_images(self) -> None:
        """Say what the images are; and what becomes of them, or whose classes they are."""
        if self.init is None or self.init.matched is None:
            super().note_images()
            return
        matched = self.init.matched
        self._note_images(matched.describe(self.init.name))
        found, known = len(matched.classes), len(matched.label_names)
        if found < known * FEW_CLASSES:
            warn(
                f"batch norm is calibrated on images of {found:,} of {known:,} classes: so few kinds "
                "of images have other statistics than those it was trained on, and all subnets may score low"
            )

    def _begin_with(self, staging: Path) -> None:
        """Copy the supernet."""
        if self._init_supernet is not None:
            copy_supernet(self._init_supernet, staging / self.init_folder.name)

    @classmethod
    def _read(cls, folder: Path, marker: dict[str, Any]) -> Self:
        recipe = parse(Recipe, marker.get("recipe"), f"{folder / MARKER}: recipe", error=OutputError)
        init = None
        if recipe.init is not None:
            where = f"{folder / MARKER}: init"
            init = parse(SupernetOrigin, marker.get("init"), where, error=OutputError)
        preprocessing = None
        if "preprocessing" in marker:
            where = f"{folder / MARKER}: preprocessing"
            preprocessing = parse(Preprocessing, marker["preprocessing"], where, error=OutputError)
        elif init is None and recipe.data not in BUILT_IN:
            preprocessing = IMAGENET  # of a version that knew no other for images in files
        return cls(folder, recipe, places_of(marker, folder), init, preprocessing)

    def _identity(self) -> dict[str, Any]:
        own = {} if self.init is None else {"init": self.init.model_dump(mode="json")}
        return super()._identity() | own

    def _recorded(self) -> dict[str, Any]:
        if self.init is not None:  # whose record says it
            return {}
        return {"preprocessing": self.source.preprocessing.model_dump(mode="json")}

    @property
    def as_it_is(self) -> bool:
        """Whether the supernet is one that was trained elsewhere, taken as it is."""
        return self.init is not None and self.init.matched is not None

    @property
    def is_truncated(self) -> bool:
        """Whether a whole run of it makes truncations of the pretrained network that it starts from.

        Of the same recipe ``anas train`` makes a supernet, and then there is one.
        """
        winners = self.recipe.winners
        if self.supernet_folder.exists():
            return False
        return self.init is not None and winners is not None and winners.start == "pretrained"

    @property
    def init_folder(self) -> Path:
        """Where the copy of the supernet is that the run starts from, if it does."""
        return self.supernet_folder if self.as_it_is else self.folder / "init"

    @property
    def init_supernet(self) -> SupernetFolder:
        """The supernet that the run starts from. Only of a run with an :attr:`init`."""
        if self._init_supernet is None:
            self._init_supernet = SupernetFolder.read(self.init_folder)
        return self._init_supernet

    @property
    def beginning(self) -> frozenset[str]:
        """What is in the folder from the run's beginning."""
        return super().beginning | ({self.init_folder.name} if self.init is not None else set())

    @property
    def licence(self) -> str | None:
        """SPDX name of the licence of the trained weights; None until one is chosen.

        Raises :class:`EntryError` where the supernet's does not let them have the recipe's.
        """
        own = self.recipe.licence
        return own if self.init is None else licence_of_derived(self.init.licence, own)

    @property
    def lineage(self) -> tuple[Ancestor, ...]:
        """The published weights that those of the subnets are made from, the oldest first."""
        return () if self.init is None else self.init.lineage

    @property
    def provenance(self) -> str:
        """In words, where the weights of the subnets come from."""
        recipe, init, source = self.recipe, self.init, self.source
        images = f"{source.title} (licence of the images: {source.licence})"
        if init is None:
            return f"trained by anas-zoo with the recipe {recipe.name!r}, seed {recipe.seed}, on {images}"
        origin = f"{init.name} (weights sha256 {init.weights_sha256})"
        if self.as_it_is:
            return f"the supernet {origin}; batch norm calibrated by anas-zoo on {images}"
        return (
            f"trained by anas-zoo from the supernet {origin} with the recipe {recipe.name!r}, "
            f"seed {recipe.seed}, on {images}"
        )

    def _result(self) -> Path | None:
        # Models without a licence are published by a later call.
        return self.zoo_folder if self.summary_file.exists() and self.zoo_folder.exists() else None

    @property
    def resolution(self) -> int:
        """The largest side in pixels of the networks' inputs."""
        return self.space.largest.resolution

    @property
    def training(self) -> TrainRecipe:
        """How the supernet is trained: by the recipe, with flips if a trial has found them safe."""
        recipe = self.recipe.train
        if not self.flips_file.is_file():
            return recipe
        flip = FlipTrial.read(self.flips_file).why_not is None
        augmentation = recipe.augmentation.model_copy(update={"flip": flip})
        return recipe.model_copy(update={"augmentation": augmentation})

    @property
    def yardstick_resolution(self) -> int:
        """The side in pixels of the images that the plain network beside the run reads: the largest."""
        return self.resolution

    @classmethod
    def recipe_for(cls, folder: Path, source: str | None, **changes: Any) -> Recipe:
        """The recipe that a call means which resumes the run in ``folder``, or begins one there.

        Args:
            folder: of the run; what was not said stays as it was begun with there.
            source: a recipe's name or file; None for the run's own, or :func:`default_recipe` of a new one.
            changes: that :meth:`Recipe.changed` takes.
        """
        if not (folder / MARKER).is_file():
            chosen = source or default_recipe(
                changes.get("data"), changes.get("settings"), changes.get("init")
            )
            return Recipe.load(chosen, **changes)
        there = cls.open(folder)
        if source is None:
            return there.recipe.changed(**changes)
        if not there._has_begun():  # it may give way to another
            return Recipe.load(source, **changes)
        recipe = there.recipe
        kept = {"data": recipe.data, "seed": recipe.seed, "init": recipe.init}
        kept |= {"sampling": recipe.train.sampling.strategy}
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
        """The recipe's search space, or that of the supernet that it starts from."""
        if self.init is not None:
            return self.init_supernet.space
        space = SearchSpace.load(self.located.own_space())
        return space if self.recipe.resolution is None else space.at(self.recipe.resolution)

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images, preprocessed as they were when the run began.

        From a supernet on they are preprocessed as its are, but transparent parts are on white, and cropped
        as the recipe says; where it is taken as it is, crop and classes are its.
        """
        images = self._open_images()
        if self.init is None:
            if self._preprocessing is not None:
                return with_preprocessing(images, self._preprocessing)
            if self.recipe.crop_pct is None:
                return images
            own = images.preprocessing.model_copy(update={"crop_pct": self.recipe.crop_pct})
            return with_preprocessing(images, own)
        matched = self.init.matched
        changes: dict[str, Any] = {"transparency": "white"}
        if self.recipe.crop_pct is not None and matched is None:
            changes |= {"crop_pct": self.recipe.crop_pct, "mode": "native"}  # the other mode has its own
        preprocessing = self.init_supernet.config.preprocessing
        images = with_preprocessing(images, preprocessing.model_copy(update=changes))
        return images if matched is None else with_classes(images, matched.label_names, matched.classes)

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet. Raises :class:`CheckpointError` when it is not there."""
        if not self.supernet_file.is_file():
            raise CheckpointError(
                f"{self.folder} has no trained supernet; train it: ",
                Call("train", out=self.folder, resume=True),
            )
        return load_supernet(self.supernet_folder)

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
            licence=self.licence,
            source=self.provenance,
            source_sha256=None if self.init is None else self.init.weights_sha256,
            lineage=self.lineage,
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
            self.training.augmentation,
            recipe.views,
            self.recipe.seed,
        )

    def entry_names(self, count: int) -> list[str]:
        """Names of ``count`` entries from small to large: name_s, name_m, name_l when there are three."""
        suffixes = NAMES_OF_THREE if count == 3 else tuple(str(i) for i in range(count))
        return [f"{self.recipe.name}_{suffix}" for suffix in suffixes]


def _entry_name(name: str) -> str:
    """The name of a supernet as that of a recipe, which entries are called by."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


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
        self._made_by: RunFolder[Any] | None = None
        self._tested_on: str | None = None

    @classmethod
    def start(cls, folder: Path, recipe: FinetuneRecipe, entry: Entry) -> FinetuneRun:
        """A new run in ``folder``, or the unfinished one of the same recipe and entry that is there.

        What a run of the same images made is tested on the images that that run holds back.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included,
        :class:`DataError` for images of a single class, and as :meth:`Origin.of` does.
        """
        run = cls(folder, recipe, Origin.of(entry))
        run._made_by = _run_around(entry.folder, ("subnets", "zoo"))
        accuracy = entry.report.accuracy
        run._tested_on = None if accuracy is None else accuracy.source
        return run._started()

    def _new_split(self, images: ImageSource) -> Split:
        """That of the run which made the entry on the same images: it was trained on some of them."""
        before = self._made_by
        if before is not None and before.has_images(images):
            note(f"  the images are split as in {before.folder}, which made {self.origin.name}")
            return before.recorded_split
        if before is None and self._tested_on == images.title:
            warn(
                f"{self.origin.name} was tested on {images.title}; if these are the same, it may have been "
                "trained on some of the images that it is tested on now: give the entry in the folder of the "
                "run that made it, whose split is kept"
            )
        return super()._new_split(images)

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
    """The run of a draft ``RUN/subnets/NAME``, or of its plain network; None for other folders.

    Its images are at ``data`` if given.

    Raises :class:`OutputError` for a run whose file cannot be read, and
    :class:`DataError` for other images than the run's.
    """
    return _run_around(folder, ("subnets", "yardstick"), data)


def _run_around(folder: Path, places: Collection[str], data: str | None = None) -> RunFolder[Any] | None:
    """The run whose ``places`` have the folder of an entry in them; raises as :func:`run_of_draft` does."""
    folder = folder.resolve()
    run = folder.parent.parent
    if folder.parent.name not in places or not (run / MARKER).is_file():
        return None
    return FinetuneRun.open(run, data) if kind_of_run(run) == "finetune" else Run.open(run, data)
