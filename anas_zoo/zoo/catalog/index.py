"""index.json: a catalog as data, for programs that choose a model without reading every entry."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from anas_zoo.core.errors import EntryError
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import Schema
from anas_zoo.entry import MANIFEST
from anas_zoo.zoo.catalog.collecting import read_folder
from anas_zoo.zoo.catalog.model import CatalogModel
from anas_zoo.zoo.catalog.selection import select

__all__ = ["INDEX", "Index", "build_index", "index_folder"]

INDEX = "index.json"


class Index(Schema):
    """index.json.

    Attributes:
        source: what was indexed: a folder's name, or ``hf://org``.
        models: its entries, best first, as :func:`select` orders them.
        left_out: repositories of the organisation that hold an entry which cannot be used, and why.
    """

    format: Literal[1] = 1
    source: str
    models: tuple[CatalogModel, ...]
    left_out: dict[str, str] = Field(default_factory=dict)


def build_index(source: str, models: list[CatalogModel], left_out: dict[str, str] | None = None) -> Index:
    """The index of ``models``, whose names have been checked."""
    return Index(source=source, models=tuple(select(models)), left_out=left_out or {})


def index_folder(folder: Path) -> Index:
    """The index of a folder's published entries, every file compared with its hash.

    Raises :class:`EntryError` for a draft (which has no manifest), an altered file, or as
    :func:`anas_zoo.zoo.catalog.read_folder` does.
    """
    models = read_folder(folder, check_hashes=True)
    for model in models:
        if not model.files:
            raise EntryError(
                f"{folder}/{model.location} has no {MANIFEST}, so it is a draft; publish it first: ",
                Call("publish", folder / model.location, to="DIR"),
            )
    return build_index(folder.resolve().name, models)
