"""What the folders of all kinds of runs have in common: recipe, images, split, training, drafts."""

from __future__ import annotations

import contextlib
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch

from anas_zoo.core.errors import DataError, OutputError
from anas_zoo.core.files import output_folder, write_json
from anas_zoo.core.hints import Call, Part
from anas_zoo.core.schema import differences, parse, read_json
from anas_zoo.core.stopping import resumable
from anas_zoo.core.text import quoted
from anas_zoo.data import ImageSource, Split, make_split, open_source
from anas_zoo.data.places import source_seen_from
from anas_zoo.data.unreadable import numbered_as, without_unreadable
from anas_zoo.pipeline.images_at import ImagesAt
from anas_zoo.pipeline.places import Places, is_there
from anas_zoo.pipeline.recipe import RunRecipe
from anas_zoo.training.checkpoint import latest_step

__all__ = [
    "MARKER",
    "Kind",
    "RunFolder",
    "in_words",
    "kind_of_run",
    "places_of",
    "read_marker",
    "resumable_run",
]

Kind = Literal["supernet", "finetune"]
R = TypeVar("R", bound=RunRecipe)

MARKER = "run.json"
COMMANDS: dict[Kind, str] = {"supernet": "anas train", "finetune": "anas finetune"}


class RunFolder(Generic[R]):
    """One run's folder together with its recipe.

    Attributes:
        folder: the run's.
        recipe: what the run does.
        places: where the files that the recipe names lie.
        split_file: which image is in which part.
        training_folder: checkpoints/, metrics.jsonl, tensorboard/.
        drafts_folder: subnets/NAME, the drafts of entries.
    """

    def __init__(self, folder: Path, recipe: R, places: Places | None = None) -> None:
        self.folder, self.recipe, self.places = folder, recipe, places or Places()
        self._images: ImageSource | None = None  # once they are open
        self.split_file = folder / "split.json"
        self.training_folder = folder / "training"
        self.drafts_folder = folder / "subnets"

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images, wherever they are now."""
        return self._open_images()

    def _open_images(self) -> ImageSource:
        if self._images is None:
            where = self.places.source(self.recipe.images())
            if self.split_file.is_file() and not is_there(where, Path.cwd()):
                raise DataError(
                    f"the images of {self.folder} are no longer at {where}; say where they are now: "
                    "--data DIR (it is remembered)"
                )
            self._images = self.numbered(open_source(where))
        return self._images

    @cached_property
    def recorded_split(self) -> Split:
        """The split as it was written down when the run began, whatever images there are now."""
        path = self.split_file
        return parse(Split, read_json(path, error=DataError), str(path), error=DataError)

    @cached_property
    def split(self) -> Split:
        """The recorded split. Raises :class:`DataError` when the images are no longer those of it."""
        if not self.has_images(self.source):
            raise DataError(
                f"the images of {self.source.name} have changed since {self.split_file} was made "
                f"({self._difference(self.source)}); put back what was there, give those of the split with "
                "--data DIR, or start a new run with another --out"
            )
        return self.recorded_split

    def has_images(self, source: ImageSource) -> bool:
        """Whether the run's split was made for the images of ``source``, wherever they lie."""
        return source.fingerprint() == self.recorded_split.source_sha256

    def move_images(self, data: str, *, remember: bool = True) -> None:
        """Take the images from ``data`` from now on; later stages find them there without being told.

        Args:
            data: a source of the very images that the split was made for.
            remember: whether this process is the one that writes it down.

        Raises :class:`DataError` for other images.
        """
        source = self.numbered(open_source(data))
        if not self.has_images(source):
            raise DataError(
                f"{data} does not hold the images that {self.folder} was split from "
                f"({self._difference(source)}); give the place of the same files, or start a new run"
            )
        place = source_seen_from(data, Path.cwd())
        if remember and place != self.places.source(self.recipe.images()):
            marker = read_json(self.folder / MARKER, error=OutputError)
            write_json(self.folder / MARKER, marker | {"images": place})
        self.places = self.places.model_copy(update={"images": place})
        self._images = source
        for name in ("source", "split", "test_images"):
            self.__dict__.pop(name, None)

    def _same_but_place(self, recipe: RunRecipe) -> bool:
        """Whether a recipe is this run's, except for where its images are said to be."""
        return self.recipe.model_copy(update={"data": recipe.data}) == recipe

    def _follow(self, data: str | None) -> None:
        """Take the images from where a recipe that resumes this run says they are.

        The text of the beginning means the place of the beginning, in whatever folder it is typed.
        """
        if data is not None and data != self.recipe.data:
            self.move_images(data)

    def numbered(self, source: ImageSource) -> ImageSource:
        """``source`` with the numbers that the split knows, if the run has begun."""
        return numbered_as(source, self.recorded_split) if self.split_file.is_file() else source

    def _difference(self, source: ImageSource) -> str:
        """How ``source`` differs from what the split was made for."""
        now, then = len(source.labels), self.recorded_split.images
        return "their names, sizes or classes differ" if now == then else f"{now:,} now, {then:,} then"

    def _make_split(self) -> Split:
        """The split of the recipe; its held-out images can be read, up to some that it names."""
        split = make_split(self.source, self.recipe.split, seed=self.recipe.seed)
        return without_unreadable(self.source, split, limit=self.recipe.train.max_unreadable_images)

    def _begin(self, marker: dict[str, Any], split: Split) -> None:
        """Make the folder with its marker and its split, both or none."""
        with output_folder(self.folder) as staging:
            write_json(staging / MARKER, marker | {"began_in": str(Path.cwd())})
            write_json(staging / self.split_file.name, split.model_dump(mode="json"))

    def _has_begun(self) -> bool:
        """Whether there is more in the folder than marker and split."""
        return any(path.name not in (MARKER, self.split_file.name) for path in self.folder.iterdir())

    def _abandon(self) -> None:
        """Remove the folder of a run that has not begun."""
        for path in (self.folder / MARKER, self.split_file):
            path.unlink(missing_ok=True)
        self.folder.rmdir()

    @cached_property
    def test_images(self) -> ImagesAt:
        """All images of the test split; only the final report asks for them."""
        return ImagesAt(self.source, self.split.test)

    def drafts(self) -> dict[str, Path]:
        """The drafts that the run made, by name."""
        if not self.drafts_folder.is_dir():
            raise OutputError(
                f"{self.folder} has no extracted subnets; run: anas extract {quoted(self.folder)}"
            )
        return {name: self.drafts_folder / name for name in self.entry_order()}

    def entry_order(self) -> list[str]:
        """Names of the drafts from small to large."""
        path = self.drafts_folder / "order.json"
        order: Any = read_json(path, error=OutputError)
        if not isinstance(order, list) or not all(
            isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in order
        ):
            raise OutputError(f"{path}: not a list of names of drafts in this folder")
        return order

    def use_threads(self) -> None:
        """Set torch's threads as the recipe says; results depend on their number in the last digits."""
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)


def kind_of_run(folder: Path) -> Kind:
    """What the run in ``folder`` makes. Raises :class:`OutputError` when there is no run."""
    return _kind(_read(folder, "supernet"))


def read_marker(folder: Path, kind: Kind) -> dict[str, Any]:
    """The content of the run.json of a run of that kind. Raises :class:`OutputError` when there is none."""
    data = _read(folder, kind)
    found = _kind(data)
    if found != kind:
        raise OutputError(
            f"{folder} is the folder of a run of: {COMMANDS[found]}; one of: {COMMANDS[kind]} is needed"
        )
    return data


def places_of(marker: dict[str, Any], where: Path) -> Places:
    """What the content of a run.json remembers of places. Raises :class:`OutputError` for a damaged one."""
    known = {key: marker[key] for key in Places.model_fields if key in marker}
    return parse(Places, known, str(where / MARKER), error=OutputError)


def _kind(data: dict[str, Any]) -> Kind:
    return "finetune" if data.get("kind") == "finetune" else "supernet"


def _read(folder: Path, kind: Kind) -> dict[str, Any]:
    if not (folder / MARKER).is_file():
        near = [path for path in folder.resolve().parents[:2] if (path / MARKER).is_file()]
        meant = f"give its run, {quoted(near[0])}" if near else f"see: {COMMANDS[kind]}"
        raise OutputError(f"{folder} is not the folder of a run (it has no {MARKER}); {meant}")
    data = read_json(folder / MARKER, error=OutputError)
    return data if isinstance(data, dict) else {}


def in_words(there: Any, here: Any) -> str:
    """The first differences between what a run was begun with and what it should go on with."""
    found = differences(there, here)
    more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
    return "; ".join(found[:4]) + more


def resumable_run(folder: Path, again: Call, made: str) -> contextlib.AbstractContextManager[None]:
    """Let an interruption say what resumes a run, and from which step its training resumes.

    Args:
        folder: the run's; before there is a run in it, nothing is said.
        again: what resumes it.
        made: the sub-folder that appears when the training is over.
    """

    def how() -> tuple[Part, ...]:
        if not (folder / MARKER).is_file():
            return ()
        step = "" if (folder / made).exists() else f" from step {latest_step(folder / 'training')}"
        return (f"resume{step} with: ", again)

    return resumable(how)
