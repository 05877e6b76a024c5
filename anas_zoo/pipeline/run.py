"""A run's folder: where each stage finds what it needs and leaves what it made.

    RUN/run.json                    the recipe, every default filled in; where its files lie
        split.json                  which image is in which part
        training/                   checkpoints/, metrics.jsonl, tensorboard/: grows while training
        supernet/                   supernet.safetensors, metrics.jsonl, training.png
        search/                     search.json, evaluations.jsonl: grows; at the end front.json, .png, .html
        subnets/NAME/               drafts: extracted, calibrated, tested, profiled, exported, validated
        zoo/NAME/                   published entries
        summary.json, front.png     what came out

Each of them but training/ and search/ appears in one rename when its stage has succeeded; a run that was
stopped goes on with the first one that is missing, a training with its latest checkpoint, a search with its
last evaluation.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import CheckpointError, OutputError
from anas_zoo.core.files import refuse_occupied
from anas_zoo.core.schema import parse
from anas_zoo.core.text import quoted
from anas_zoo.data import PartOf, balanced_order
from anas_zoo.data.unreadable import readable
from anas_zoo.nets import Supernet, load_supernet
from anas_zoo.pipeline.images_at import CALIBRATION, SCORING, ImagesAt, ViewsAt
from anas_zoo.pipeline.places import Places
from anas_zoo.pipeline.recipe import Recipe, default_recipe
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, in_words, places_of, read_marker
from anas_zoo.searching import SearchRecipe
from anas_zoo.space import SearchSpace

__all__ = ["Run"]

NAMES_OF_THREE = ("s", "m", "l")


class Run(RunFolder[Recipe]):
    """The folder of a run from images to entries, together with its recipe."""

    def __init__(self, folder: Path, recipe: Recipe, places: Places | None = None) -> None:
        super().__init__(folder, recipe, places)
        self.supernet_folder = folder / "supernet"
        self.supernet_file = self.supernet_folder / "supernet.safetensors"
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
        if (folder / MARKER).is_file():
            there = cls.open(folder)
            if there.recipe == recipe or there._has_begun():
                return there._checked(recipe)
            there._abandon()
        refuse_occupied(folder)
        run = cls(folder, recipe)
        # Whatever is wrong with the space or the images shows before anything is written.
        _, split = run.space, run._make_split()
        run._begin({"format": 1, "recipe": recipe.to_dict()}, split)
        return run

    def _checked(self, recipe: Recipe) -> Run:
        """This run, if it is one of ``recipe`` and not finished."""
        instead = f"give another --out, or remove it first: rm -r {quoted(self.folder)}"
        if not self._same_but_place(recipe):
            changed = in_words(self.recipe.to_dict(), recipe.to_dict())
            raise OutputError(
                f"{self.folder} holds a run of another recipe ({changed}); leave out --recipe, --set and "
                f"--seed to resume it as it was begun; or {instead}"
            )
        if self.summary_file.exists():
            raise OutputError(
                f"{self.folder} already holds this run, finished; its models are in {self.zoo_folder}; "
                f"{instead}"
            )
        self._follow(recipe.data)
        return self

    @classmethod
    def open(cls, folder: Path, data: str | None = None, *, remember: bool = True) -> Run:
        """The run that is in ``folder``, its images at ``data`` if that is said.

        Raises :class:`OutputError` when there is none, and as :meth:`move_images` does.
        """
        marker = read_marker(folder, "supernet")
        recipe = parse(Recipe, marker.get("recipe"), f"{folder / MARKER}: recipe", error=OutputError)
        run = cls(folder, recipe, places_of(marker, folder))
        if data is not None:
            run.move_images(data, remember=remember)
        return run

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
    def space(self) -> SearchSpace:
        """The recipe's search space."""
        return SearchSpace.load(self.places.file(self.recipe.space))

    @property
    def search_recipe(self) -> SearchRecipe:
        """The recipe of the search, its files as they are found from here."""
        recipe = self.recipe.search
        return recipe if recipe.latency is None else recipe.changed(latency=self.places.file(recipe.latency))

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet. Raises :class:`CheckpointError` when it is not there."""
        if not self.supernet_file.is_file():
            raise CheckpointError(
                f"{self.folder} has no trained supernet; train it: anas train --out {quoted(self.folder)} "
                "--resume"
            )
        return load_supernet(self.supernet_file)

    @cached_property
    def calibration_images(self) -> ImagesAt:
        """The training images that every calibration uses: balanced over the classes, fixed by the seed."""
        part = PartOf(self.source, self.split.train)
        order = balanced_order(part.labels, [self.recipe.seed, CALIBRATION])
        return ImagesAt(part, readable(part, order[: self.recipe.search.calibration_images].tolist()))

    def search_images(self, recipe: SearchRecipe | None = None) -> ViewsAt:
        """The images of the search split that subnets are scored on, as many and in as many views as
        ``recipe`` says (default: the run's): balanced over the classes, fixed by the seed.

        They come from a part of the source that holds the search split alone.
        """
        recipe = recipe or self.recipe.search
        part = PartOf(self.source, self.split.search)
        order = balanced_order(part.labels, [self.recipe.seed, SCORING])
        return ViewsAt(
            ImagesAt(part, order[: recipe.images].tolist()),
            self.space.largest.resolution,
            self.recipe.train.augmentation,
            recipe.views,
            self.recipe.seed,
        )

    def entry_names(self, count: int) -> list[str]:
        """Names of ``count`` entries from small to large: name_s, name_m, name_l when there are three."""
        suffixes = NAMES_OF_THREE if count == 3 else tuple(str(i) for i in range(count))
        return [f"{self.recipe.name}_{suffix}" for suffix in suffixes]
