"""A run's folder: where each stage finds what it needs and leaves what it made.

    RUN/run.json                    the recipe, every default filled in
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

from anas_zoo.data import PartOf, balanced_order
from anas_zoo.errors import CheckpointError, OutputError
from anas_zoo.files import refuse_occupied
from anas_zoo.nets import Supernet, load_supernet
from anas_zoo.pipeline.images_at import ImagesAt, ViewsAt
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, in_words, read_marker
from anas_zoo.schema import parse
from anas_zoo.search import SearchRecipe
from anas_zoo.space import SearchSpace
from anas_zoo.text import quoted

__all__ = ["Run"]

NAMES_OF_THREE = ("s", "m", "l")
CALIBRATION, SCORING = 11, 12  # tell the uses of the seed apart


class Run(RunFolder[Recipe]):
    """The folder of a run from images to entries, together with its recipe."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        super().__init__(folder, recipe)
        self.supernet_folder = folder / "supernet"
        self.supernet_file = self.supernet_folder / "supernet.safetensors"
        self.search_folder = folder / "search"
        self.zoo_folder = folder / "zoo"
        self.summary_file = folder / "summary.json"

    @classmethod
    def start(cls, folder: Path, recipe: Recipe) -> Run:
        """A new run in ``folder``, or the unfinished one of the same recipe that is there.

        One of another recipe that failed before it made anything gives way.
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
        if self.recipe != recipe:
            changed = in_words(self.recipe.to_dict(), recipe.to_dict())
            raise OutputError(f"{self.folder} holds a run of another recipe ({changed}); {instead}")
        if self.summary_file.exists():
            raise OutputError(
                f"{self.folder} already holds this run, finished; its models are in {self.zoo_folder}; "
                f"{instead}"
            )
        return self

    @classmethod
    def open(cls, folder: Path) -> Run:
        """The run that is in ``folder``. Raises :class:`OutputError` when there is none."""
        recipe = read_marker(folder, "supernet").get("recipe")
        return cls(folder, parse(Recipe, recipe, f"{folder / MARKER}: recipe", error=OutputError))

    @cached_property
    def space(self) -> SearchSpace:
        """The recipe's search space."""
        return SearchSpace.load(self.recipe.space)

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
        return ImagesAt(part, order[: self.recipe.search.calibration_images].tolist())

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
