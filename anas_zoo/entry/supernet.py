"""A supernet's folder as an object, and supernet.json, the record in it. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from anas_zoo.core.errors import ConfigError, EntryError, SpaceError
from anas_zoo.core.schema import Sparse, parse, read_json
from anas_zoo.entry.config import MAX_CLASSES, Name, WeightsInfo
from anas_zoo.entry.entry import Entry
from anas_zoo.entry.folder import CheckedFolder
from anas_zoo.entry.manifest import CONFIG, SUPERNET, SUPERNET_WEIGHTS, what_is_meant
from anas_zoo.entry.preprocessing import Preprocessing
from anas_zoo.space import SearchSpace


def _a_space(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return SearchSpace.from_dict(value, "space").to_dict()
    except (ConfigError, SpaceError) as exc:
        raise ValueError(str(exc).removeprefix("space: ")) from exc


SpaceDict = Annotated[dict[str, Any], AfterValidator(_a_space)]


class SupernetConfig(Sparse):
    """supernet.json: everything about a supernet but its tensors.

    Attributes:
        name: of the supernet.
        space: its whole search space, as :meth:`anas_zoo.space.SearchSpace.to_dict` writes it, so that it
            loads after a preset has changed.
        num_classes: outputs of the classifier.
        label_names: one label for each class.
        preprocessing: how images are made into inputs.
        weights: hash of supernet.safetensors, where the weights come from, their licence and lineage.
        trained: how they came about: settings and results of a training, or what became of the tensors of
            the file that they were imported from.
    """

    LEFT_OUT: ClassVar = ("label_names", "trained")

    format: Literal[1] = 1
    name: Name
    space: SpaceDict
    num_classes: int = Field(ge=1, le=MAX_CLASSES)
    label_names: tuple[str, ...] | None = None
    preprocessing: Preprocessing
    weights: WeightsInfo
    trained: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _a_label_for_each_class(self) -> Self:
        if self.label_names is not None and len(self.label_names) != self.num_classes:
            raise ValueError(f"{len(self.label_names)} label_names for {self.num_classes} classes")
        return self

    def search_space(self) -> SearchSpace:
        """The search space as a value."""
        return SearchSpace.from_dict(self.space)


def compose_supernet_config(
    *,
    name: str,
    space: SearchSpace,
    num_classes: int,
    weights: Mapping[str, Any],
    preprocessing: Preprocessing,
    label_names: Sequence[str] | None = None,
    trained: Mapping[str, Any] | None = None,
) -> SupernetConfig:
    """supernet.json from its parts; see :class:`SupernetConfig`. ``weights`` is plain data of its record.

    Raises :class:`EntryError` that lists every part that does not fit the others.
    """
    data: dict[str, Any] = {
        "name": name,
        "space": space.to_dict(),
        "num_classes": num_classes,
        "label_names": None if label_names is None else [str(label) for label in label_names],
        "preprocessing": preprocessing.model_dump(),
        "weights": dict(weights),
        "trained": dict(trained or {}),
    }
    return parse(SupernetConfig, data, f"record of {name}", error=EntryError)


def read_supernet_config(folder: Path) -> SupernetConfig:
    """The validated supernet.json of ``folder``; raises :class:`EntryError` with every problem in it."""
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; a supernet is a folder with a {SUPERNET}")
    path = folder / SUPERNET
    if not path.exists():
        raise EntryError(f"{path}: no such file", *what_is_meant(folder, SUPERNET))
    return parse(SupernetConfig, read_json(path, error=EntryError), str(path), error=EntryError)


class SupernetFolder(CheckedFolder):
    """A supernet on disk: trained here, imported, or published."""

    @cached_property
    def config(self) -> SupernetConfig:
        """supernet.json."""
        return read_supernet_config(self.folder)

    @cached_property
    def space(self) -> SearchSpace:
        """The space of the record, made once."""
        return self.config.search_space()

    @property
    def name(self) -> str:
        """The supernet's name as its record says it."""
        return self.config.name

    @property
    def weights(self) -> WeightsInfo:
        """Where the weights come from."""
        return self.config.weights

    @property
    def own_files(self) -> tuple[str, ...]:
        """What is published of a draft; that of a run holds metrics besides."""
        return (SUPERNET, SUPERNET_WEIGHTS)

    def with_licence(self, licence: str) -> SupernetFolder:
        """This supernet with its weights under ``licence``; its files stay as they are."""
        changed = SupernetFolder(self.folder)
        changed.__dict__ |= self.__dict__ | {"_sha256": dict(self._sha256)}
        weights = self.weights.model_copy(update={"licence": licence})
        changed.__dict__["config"] = self.config.model_copy(update={"weights": weights})
        return changed


def kind_of_folder(folder: Path) -> type[Entry] | type[SupernetFolder]:
    """What ``folder`` is to be read as: a supernet where it has the record of one, else an entry.

    Raises :class:`EntryError` for one with the records of both.
    """
    if not is_supernet(folder):
        return Entry
    if (folder / CONFIG).exists():
        raise EntryError(f"{folder} holds both {CONFIG} and {SUPERNET}, so it is neither; remove one of them")
    return SupernetFolder


def is_supernet(folder: Path) -> bool:
    """Whether ``folder`` is to be read as a supernet and not as an entry."""
    return (folder / SUPERNET).exists()
