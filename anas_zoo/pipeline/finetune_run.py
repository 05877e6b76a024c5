"""The folder of a fine-tuning.

    RUN/run.json        the recipe, every default filled in, the entry that it starts from, where files lie
        split.json      which image is in which part
        training/       checkpoints/, metrics.jsonl, tensorboard/: grows while training
        subnets/NAME/   the draft of the new entry: tested, profiled, exported, validated, timed

subnets/ appears in one rename at the very end; a fine-tuning that was stopped goes on with its latest
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError, OutputError
from anas_zoo.core.files import refuse_occupied
from anas_zoo.core.schema import Schema, parse
from anas_zoo.core.text import quoted
from anas_zoo.data import ImageSource, balanced_choice, with_preprocessing
from anas_zoo.data.unreadable import readable
from anas_zoo.entry import CONFIG, WEIGHTS, Ancestor, Entry, Preprocessing, SpaceInfo
from anas_zoo.entry.licence import licence_of_derived, no_weights
from anas_zoo.pipeline.finetune_recipe import FinetuneRecipe
from anas_zoo.pipeline.images_at import CALIBRATION, SCORING, ImagesAt
from anas_zoo.pipeline.places import Places
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, in_words, places_of, read_marker

__all__ = ["FinetuneRun", "Origin"]


class Origin(Schema):
    """The entry that a fine-tuning starts from, as its run remembers it."""

    name: str
    arch_id: str
    weights_sha256: str
    licence: str
    space: SpaceInfo
    preprocessing: Preprocessing
    ancestors: tuple[Ancestor, ...] = ()

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
                f"publish it first: anas publish {quoted(entry.folder)} --to DIR --licence SPDX"
            )
        if not entry.has_weights:
            raise EntryError(f"{entry.folder} lacks {WEIGHTS}, which {CONFIG} names; get the entry again")
        return cls(
            name=entry.name,
            arch_id=own.arch_id,
            weights_sha256=own.weights.sha256,
            licence=own.weights.licence,
            space=own.space,
            preprocessing=own.preprocessing,
            ancestors=own.weights.lineage,
        )


class FinetuneRun(RunFolder[FinetuneRecipe]):
    """The folder of a fine-tuning, together with its recipe and the entry that it starts from."""

    def __init__(
        self, folder: Path, recipe: FinetuneRecipe, origin: Origin, places: Places | None = None
    ) -> None:
        super().__init__(folder, recipe, places)
        self.origin = origin
        self.name = recipe.name or f"{origin.name}_finetuned"
        self.licence = licence_of_derived(origin.licence, recipe.licence)
        self.draft_folder = self.drafts_folder / self.name
        self._calibration: dict[int, ImagesAt] = {}

    @classmethod
    def start(cls, folder: Path, recipe: FinetuneRecipe, entry: Entry) -> FinetuneRun:
        """A new run in ``folder``, or the unfinished one of the same recipe and entry that is there.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included,
        :class:`DataError` for images of a single class, and as :meth:`Origin.of` does.
        """
        run = cls(folder, recipe, Origin.of(entry))
        if not (folder / MARKER).is_file():
            refuse_occupied(folder)
            # Whatever is wrong with the images shows before anything is written.
            split = run._make_split()
            run._begin({"format": 1, "kind": "finetune", **run._identity()}, split)
            return run
        there = cls.open(folder)
        instead = f"give another --out, or remove it first: rm -r {quoted(folder)}"
        if not there._same_but_place(recipe) or there.origin != run.origin:
            differing = in_words(there._identity(), run._identity())
            raise OutputError(
                f"{folder} holds another fine-tuning ({differing}); leave out what differs to resume it "
                f"as it was begun; or {instead}"
            )
        if run.drafts_folder.exists():
            raise OutputError(
                f"{folder} already holds this fine-tuning, finished; its draft is {run.draft_folder}; "
                f"{instead}"
            )
        there._follow(recipe.data)
        return there

    @classmethod
    def open(cls, folder: Path, data: str | None = None) -> FinetuneRun:
        """The run that is in ``folder``, its images at ``data`` if that is said.

        Raises :class:`OutputError` when there is none, and as :meth:`move_images` does.
        """
        marker, where = read_marker(folder, "finetune"), folder / MARKER
        recipe = parse(FinetuneRecipe, marker.get("recipe"), f"{where}: recipe", error=OutputError)
        origin = parse(Origin, marker.get("entry"), f"{where}: entry", error=OutputError)
        run = cls(folder, recipe, origin, places_of(marker, folder))
        if data is not None:
            run.move_images(data)
        return run

    def _identity(self) -> dict[str, Any]:
        """What a later call must have in common to go on with this run."""
        return {"recipe": self.recipe.to_dict(), "entry": self.origin.model_dump(mode="json")}

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images, preprocessed as the entry's are, and transparent parts of them on white.

        So the network is calibrated, watched and tested; training views are drawn as the recipe says.
        """
        preprocessing = self.origin.preprocessing.model_copy(update={"transparency": "white"})
        return with_preprocessing(self._open_images(), preprocessing)

    def calibration_images(self, count: int) -> ImagesAt:
        """``count`` images of the training split: balanced over the classes, fixed by the seed."""
        if count not in self._calibration:
            chosen = readable(self.source, self._some(self.split.train, count, CALIBRATION))
            self._calibration[count] = ImagesAt(self.source, chosen)
        return self._calibration[count]

    def search_images(self, count: int) -> ImagesAt:
        """``count`` images of the search split: balanced over the classes, fixed by the seed."""
        return ImagesAt(self.source, self._some(self.split.search, count, SCORING))

    def _some(self, indices: Sequence[int], count: int, use: int) -> list[int]:
        return balanced_choice(indices, self.source.labels, count, [self.recipe.seed, use])
