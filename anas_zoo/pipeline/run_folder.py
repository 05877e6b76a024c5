"""What the folders of all kinds of runs have in common: recipe, images, split, training, drafts."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch

from anas_zoo.data import ImageSource, Split, make_split, open_source
from anas_zoo.errors import DataError, OutputError
from anas_zoo.files import output_folder, write_json
from anas_zoo.pipeline.images_at import ImagesAt
from anas_zoo.pipeline.recipe import RunRecipe
from anas_zoo.schema import differences, parse, read_json
from anas_zoo.text import quoted

__all__ = ["MARKER", "Kind", "RunFolder", "in_words", "kind_of_run", "read_marker"]

Kind = Literal["supernet", "finetune"]
R = TypeVar("R", bound=RunRecipe)

MARKER = "run.json"
COMMANDS: dict[Kind, str] = {"supernet": "anas train", "finetune": "anas finetune"}


class RunFolder(Generic[R]):
    """One run's folder together with its recipe.

    Attributes:
        folder: the run's.
        recipe: what the run does.
        split_file: which image is in which part.
        training_folder: checkpoints/, metrics.jsonl, tensorboard/.
        drafts_folder: subnets/NAME, the drafts of entries.
    """

    def __init__(self, folder: Path, recipe: R) -> None:
        self.folder, self.recipe = folder, recipe
        self.split_file = folder / "split.json"
        self.training_folder = folder / "training"
        self.drafts_folder = folder / "subnets"

    @cached_property
    def source(self) -> ImageSource:
        """The recipe's images."""
        return open_source(self.recipe.images())

    @cached_property
    def split(self) -> Split:
        """The split as it was written down when the run began.

        Raises :class:`DataError` when the images are no longer those that it was made for.
        """
        path = self.split_file
        split = parse(Split, read_json(path, error=DataError), str(path), error=DataError)
        if split.source_sha256 != self.source.fingerprint():
            raise DataError(
                f"the images of {self.recipe.data} have changed since {path} was made; start a new run"
            )
        return split

    def _make_split(self) -> Split:
        return make_split(self.source, self.recipe.split, seed=self.recipe.seed)

    def _begin(self, marker: dict[str, Any], split: Split) -> None:
        """Make the folder with its marker and its split, both or none."""
        with output_folder(self.folder) as staging:
            write_json(staging / MARKER, marker)
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
