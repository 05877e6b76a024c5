"""What the folders of all kinds of runs have in common: recipe, images, split, training, drafts."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch

from anas_zoo.core.errors import DataError, OutputError
from anas_zoo.core.files import canonical_json, output_folder, refuse_occupied, sha256_bytes, write_json
from anas_zoo.core.hints import Call, Option, Part
from anas_zoo.core.progress import note, warn
from anas_zoo.core.schema import Schema, differences, parse, read_json
from anas_zoo.core.stopping import resumable
from anas_zoo.core.text import quoted
from anas_zoo.data import (
    ImagesAt,
    ImageSource,
    Inspection,
    Split,
    balanced_choice,
    inspect,
    make_split,
    open_source,
)
from anas_zoo.data.chosen_images import CALIBRATION, SCORING
from anas_zoo.data.decoded import is_decoded, with_decoded, write_decoded
from anas_zoo.data.sources import path_of_source, source_seen_from
from anas_zoo.data.splits import check_classes, with_file_names
from anas_zoo.data.unreadable import numbered_as, without_unreadable
from anas_zoo.pipeline.recipe import RunRecipe
from anas_zoo.training import TrainRecipe
from anas_zoo.training.checkpoint import latest_step

Kind = Literal["supernet", "finetune"]
R = TypeVar("R", bound=RunRecipe)

MARKER = "run.json"
STAGES: dict[Kind, Call] = {"supernet": Call("train"), "finetune": Call("finetune")}


class Places(Schema):
    """What a run remembers of places. The recipe itself stays as it was typed.

    Attributes:
        began_in: the folder that the recipe's relative paths were meant in; None for a run of an old
            version, whose paths are meant in the current one.
        images: where the images are now, if that was given later.
    """

    began_in: str | None = None
    images: str | None = None

    def source(self, data: str) -> str:
        """The source that a recipe's ``data`` means: where it was, else where the current folder has it."""
        if self.images is not None or self.began_in is None:
            return self.images or data
        began_in = Path(self.began_in)
        if not is_there(data, began_in) and is_there(data, Path.cwd()):
            return data
        return source_seen_from(data, began_in)

    def file(self, text: str | None) -> str | None:
        """A file that a recipe names, likewise; a preset's name stays as it is, and so does None."""
        if text is None:
            return None
        path = Path(text)
        if self.began_in is None or path.suffix == "" or not (Path(self.began_in) / path).exists():
            return text
        return str(Path(self.began_in) / path)


def is_there(data: str, folder: Path) -> bool:
    """Whether ``folder`` has what a source's name means there; True for one without a path."""
    path = path_of_source(data, folder)
    return path is None or path.exists()


class RunFolder(Generic[R]):
    """One run's folder together with its recipe.

    Attributes:
        folder: the run's.
        recipe: what the run does.
        places: where the files that the recipe names lie.
        split_file: which image is in which part.
        images_file: what was seen of the images when the run began.
        training_folder: checkpoints/, metrics.jsonl, tensorboard/.
        drafts_folder: subnets/NAME, the drafts of entries.
        decoded_folder: the decoded images, while :meth:`keep_decoded` has them kept.
    """

    kind: ClassVar[Kind]

    def __init__(self, folder: Path, recipe: R, places: Places | None = None) -> None:
        self.folder, self.recipe, self.places = folder, recipe, places or Places()
        self._images: ImageSource | None = None  # once they are open
        self._calibration: dict[int, ImagesAt] = {}
        self.split_file = folder / "split.json"
        self.images_file = folder / "images.json"
        self.training_folder = folder / "training"
        self.drafts_folder = folder / "subnets"
        self.decoded_folder = folder / "decoded"

    @classmethod
    def open(cls, folder: Path, data: str | None = None, *, remember: bool = True) -> Self:
        """The run that is in ``folder``, its images at ``data`` if that is given.

        Raises :class:`OutputError` when there is none, and as :meth:`move_images` does.
        """
        run = cls._read(folder, read_marker(folder, cls.kind))
        if data is not None:
            run.move_images(data, remember=remember)
        return run

    @classmethod
    def _read(cls, folder: Path, marker: dict[str, Any]) -> Self:
        """The run that the content of a run.json describes."""
        raise NotImplementedError

    def _identity(self) -> dict[str, Any]:
        """What the run.json says of this kind of run; equal for two runs that do the same."""
        return {"recipe": self.recipe.to_dict()}

    def _result(self) -> Path | None:
        """What the run made, once it is finished."""
        raise NotImplementedError

    @property
    def beginning(self) -> frozenset[str]:
        """What is in the folder from the run's beginning."""
        return frozenset({MARKER, self.split_file.name, self.images_file.name, self.decoded_folder.name})

    @property
    def resolution(self) -> int:
        """The largest side in pixels of the networks' inputs."""
        raise NotImplementedError

    def _started(self) -> Self:
        """This run begun in its folder, or the unfinished one of the same recipe that is there.

        One of another recipe that failed before it made anything gives way. Where the recipe names the same
        images at another place, that is remembered.

        Raises :class:`OutputError` when the folder holds anything else, a finished run included, and
        :class:`DataError` for images that cannot be trained on.
        """
        if (self.folder / MARKER).is_file():
            there = self.open(self.folder)
            if there._identity() == self._identity() or there._has_begun():
                there._resume_as(self)
                return there
            there._abandon()
        refuse_occupied(self.folder)
        # A wrong space shows before the images are read, and wrong images before anything is written.
        _ = self.resolution
        images = self._open_images()
        split = self._new_split(images)
        split = without_unreadable(images, split, limit=self.recipe.train.max_unreadable_images)
        split = with_file_names(images, split)
        marker = {"format": 1, "kind": self.kind, "began_in": str(Path.cwd()), **self._identity()}
        with output_folder(self.folder) as staging:
            write_json(staging / MARKER, marker | self._recorded())
            write_json(staging / self.split_file.name, split.model_dump(mode="json"))
            write_json(staging / self.images_file.name, self.inspection.to_dict())
            self._begin_with(staging)
        return self

    def _recorded(self) -> dict[str, Any]:
        """What run.json says beside the places and :meth:`_identity`: what defaults were at the beginning."""
        return {}

    def _begin_with(self, staging: Path) -> None:
        """Put into the new folder what else the run has from its beginning: :attr:`beginning`."""

    def _resume_as(self, wanted: Self) -> None:
        """Check that this unfinished run is the one that is wanted, its images perhaps at another place."""
        there, here = self._identity(), wanted._identity()
        here["recipe"] |= {"data": there["recipe"]["data"]}
        if "init" in there["recipe"] and "init" in here["recipe"]:  # what that is, its record says
            here["recipe"] |= {"init": there["recipe"]["init"]}
        instead = ("give another ", Option("out"), f", or remove it first: rm -r {quoted(self.folder)}")
        if there != here:
            changed = in_words(there.pop("recipe") | there, here.pop("recipe") | here)
            raise OutputError(
                f"{self.folder} holds a run of another recipe ({changed}); leave out what differs to resume "
                "it as it was begun; or ",
                *instead,
            )
        if result := self._result():
            raise OutputError(f"{self.folder} already holds this run, finished; see {result}; ", *instead)
        # The text of the beginning means the place of the beginning, in whatever folder it is typed.
        if wanted.recipe.data is not None and wanted.recipe.data != self.recipe.data:
            self.move_images(wanted.recipe.data)

    def _new_split(self, images: ImageSource) -> Split:
        """The split of a run that begins, for ``images``."""
        recipe = self.recipe
        check_classes(images, recipe.split)  # before the files are read
        return make_split(images, recipe.split, seed=recipe.seed, copies=self.inspection.groups)

    @cached_property
    def inspection(self) -> Inspection:
        """What was seen of the images when the run began, or is seen now."""
        path = self.images_file
        if path.is_file():
            return parse(Inspection, read_json(path, error=DataError), str(path), error=DataError)
        return inspect(self._open_images())

    def note_images(self) -> None:
        """Say what the images are, how training changes them, and what may be wrong with them."""
        train = self.training
        views = train.stream if train.loader == "stream" else train.augmentation
        self._note_images(views.describe())

    def _note_images(self, about: str) -> None:
        seen, split = self.inspection, self.recorded_split
        note(f"  {seen.line()}; {about}")
        for line in seen.lines():
            note(f"  {line}")
        if split.copies_of_test:
            note(f"  copies of test images, which are not trained on: {len(split.copies_of_test):,}")
        if across := seen.across(split):
            warn(
                f"exact copies are in different parts of the split, {len(across):,} times ({across[0]}): "
                "what is measured on them is too good"
            )
        for line in seen.warnings():
            warn(line)

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images, wherever they are now."""
        return self._open_images()

    def _open_images(self) -> ImageSource:
        if self._images is None:
            where = self.places.source(self.recipe.images())
            if self.split_file.is_file() and not is_there(where, Path.cwd()):
                raise DataError(
                    f"the images of {self.folder} are no longer at {where}; say where they are now: ",
                    Option("data", "DIR"),
                    " (it is recorded)",
                )
            self._images = with_decoded(self.numbered(open_source(where)), self.decoded_folder)
        return self._images

    @cached_property
    def recorded_split(self) -> Split:
        """The split as it was written down when the run began, whatever images there are now."""
        path = self.split_file
        return parse(Split, read_json(path, error=DataError), str(path), error=DataError)

    @cached_property
    def split(self) -> Split:
        """The recorded split. Raises :class:`DataError` when the images are no longer those of it."""
        images = self._open_images()
        if not self.has_images(images):
            raise DataError(
                f"the images of {images.name} have changed since {self.split_file} was made "
                f"({self._difference(images)}); put back what was there, give those of the split as ",
                Option("data"),
                ", or start a new run with another ",
                Option("out"),
            )
        return self.recorded_split

    @property
    def split_sha256(self) -> str:
        """Hash of which image is in which part."""
        return sha256_bytes(canonical_json(self.split.model_dump(mode="json")).encode())

    def has_images(self, source: ImageSource) -> bool:
        """Whether the run's split was made for the images of ``source``, wherever they lie."""
        return source.fingerprint() == self.recorded_split.source_sha256

    def move_images(self, data: str, *, remember: bool = True) -> None:
        """Take the images from ``data`` from now on; later stages find them there.

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
        self._take_images(with_decoded(source, self.decoded_folder))
        place = source_seen_from(data, Path.cwd())
        if remember and place != self.places.source(self.recipe.images()):
            marker = read_json(self.folder / MARKER, error=OutputError)
            write_json(self.folder / MARKER, marker | {"images": place})
        self.places = self.places.model_copy(update={"images": place})

    def keep_decoded(self) -> None:
        """Decode the images of the split once, for all stages and processes, until :meth:`drop_decoded`.

        Those that are read most come first, as there is not room for any number of large ones.
        """
        if not is_decoded(self.decoded_folder):
            split = self.split
            indices = (*split.search, *split.train, *split.test)
            write_decoded(self._open_images(), indices, self.decoded_folder)
        self._take_images(with_decoded(self._open_images(), self.decoded_folder))

    def drop_decoded(self) -> None:
        """Remove the decoded images; who has them open keeps them."""
        shutil.rmtree(self.decoded_folder, ignore_errors=True)

    def _take_images(self, source: ImageSource) -> None:
        """Read the same images from ``source`` from now on."""
        self._images = source
        self._calibration.clear()
        for name in ("source", "split", "test_images"):
            self.__dict__.pop(name, None)

    def numbered(self, source: ImageSource) -> ImageSource:
        """``source`` with the numbers that the split knows, if the run has begun."""
        return numbered_as(source, self.recorded_split) if self.split_file.is_file() else source

    def _difference(self, source: ImageSource) -> str:
        """How ``source`` differs from what the split was made for."""
        now, then = len(source.labels), self.recorded_split.images
        return "their names, sizes or classes differ" if now == then else f"{now:,} now, {then:,} then"

    def _has_begun(self) -> bool:
        """Whether there is more in the folder than what a run has from its beginning."""
        return any(path.name not in self.beginning for path in self.folder.iterdir())

    def _abandon(self) -> None:
        """Remove the folder of a run that has not begun."""
        # The marker is last: without it nobody knows whose the rest is.
        for path in sorted((self.folder / name for name in self.beginning), key=lambda p: p.name == MARKER):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        self.folder.rmdir()

    def training_images(self, count: int) -> ImagesAt:
        """At most ``count`` images of the training split to calibrate on, those that can be read.

        They are balanced over the classes and fixed by the seed; asked for again, they are kept.
        """
        if count not in self._calibration:
            chosen = self._some(self.split.train, count, CALIBRATION)
            self._calibration[count] = ImagesAt.readable(self.source, chosen, self.resolution)
        return self._calibration[count]

    def scoring_images(self, count: int | None) -> ImagesAt:
        """At most ``count`` images of the search split (None: all), balanced and fixed likewise."""
        return ImagesAt(self.source, self._some(self.split.search, count, SCORING))

    def _some(self, indices: Sequence[int], count: int | None, use: int) -> list[int]:
        return balanced_choice(indices, self.source.labels, count, [self.recipe.seed, use])

    @cached_property
    def test_images(self) -> ImagesAt:
        """All images of the test split; only the final report asks for them."""
        return ImagesAt(self.source, self.split.test)

    def drafts(self) -> dict[str, Path]:
        """The drafts that the run made, by name."""
        if not self.drafts_folder.is_dir():
            raise OutputError(f"{self.folder} has no extracted subnets; run: ", Call("extract", self.folder))
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

    @property
    def training(self) -> TrainRecipe:
        """How is trained: as the recipe says."""
        return self.recipe.train

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
            f"{folder} is the folder of a run of: ", STAGES[found], "; one of: ", STAGES[kind], " is needed"
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
        meant = [f"give its run, {quoted(near[0])}"] if near else ["see: ", STAGES[kind]]
        raise OutputError(f"{folder} is not the folder of a run (it has no {MARKER}); ", *meant)
    data = read_json(folder / MARKER, error=OutputError)
    return data if isinstance(data, dict) else {}


def in_words(there: Any, here: Any) -> str:
    """The first differences between what a run was begun with and what it should resume with."""
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
