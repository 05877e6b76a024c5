"""The entries in a folder, and whether their names mean one thing each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from anas_zoo.core.errors import EntryError
from anas_zoo.core.hints import Call
from anas_zoo.core.text import quoted
from anas_zoo.entry import CONFIG, MANIFEST, Entry, entries_nearby, read_manifest
from anas_zoo.zoo.catalog.model import CatalogModel, content_key, model_of
from anas_zoo.zoo.catalog.names import other_names

__all__ = ["catalog_model", "check_names", "entries_in", "read_folder"]


def entries_in(folder: Path) -> list[Path]:
    """The folders of entries: ``folder`` itself where it is one, else those in it, by name.

    Raises :class:`EntryError` where there is none.
    """
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; give one that holds entries")
    if (folder / CONFIG).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{CONFIG}") if not path.parent.name.startswith("."))
    if not found:
        if near := entries_nearby(folder):
            raise EntryError(f"{folder} holds no entry itself; give {quoted(near[0].parent)}, which does")
        raise EntryError(
            f"{folder} holds no entry, which is a folder with a {CONFIG}; publish one into it: ",
            Call("publish", "DRAFT", to=folder / "NAME"),
        )
    return found


def catalog_model(entry: Entry) -> CatalogModel:
    """``entry`` as a catalog knows it."""
    published = (entry.folder / MANIFEST).exists()
    return model_of(
        entry.config,
        entry.report,
        location=entry.folder.resolve().name,
        files=read_manifest(entry.folder).files if published else {},
        names=entry.files,
        other_names=other_names(content_key(entry.config), entry.name),
    )


def read_folder(folder: Path, *, check_hashes: bool = False) -> list[CatalogModel]:
    """All entries in ``folder``, by the folders' names, each with all names of its architecture.

    Raises :class:`EntryError` for an entry that cannot be read, a folder without any, and one name of two
    architectures.
    """
    return check_names(
        catalog_model(Entry.read(path, check_hashes=check_hashes)) for path in entries_in(folder)
    )


def check_names(models: Iterable[CatalogModel]) -> list[CatalogModel]:
    """``models``, each with all names of its architecture.

    Raises :class:`EntryError` for one name of two architectures, with the places where they lie.
    """
    listed = list(models)
    first: dict[str, CatalogModel] = {}
    for model in listed:
        known = first.setdefault(model.name, model)
        if known.content != model.content:
            raise EntryError(
                f"{model.name!r} names two architectures, {_described(known, model)} in {known.location} and "
                f"{_described(model, known)} in {model.location}; publish one of them under another name"
            )
    return [_with_names(model, listed) for model in listed]


def _described(model: CatalogModel, other: CatalogModel) -> str:
    return model.id if model.id != other.id else f"{model.id} of the structure {model.structure}"


def _with_names(model: CatalogModel, models: Sequence[CatalogModel]) -> CatalogModel:
    same = [one.name for one in models if one.content == model.content and one.name != model.name]
    names = dict.fromkeys([*same, *(name for name in model.other_names if name not in same)])
    return model.model_copy(update={"other_names": tuple(names)})
