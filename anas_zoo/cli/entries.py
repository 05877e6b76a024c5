"""What several commands need of an entry: its folder and its numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anas_zoo.zoo.catalog import CatalogModel

__all__ = ["find_entry", "summary"]


def find_entry(text: str) -> Path:
    """The folder that ``text`` names, as :func:`anas_zoo.zoo.shelf.resolve` reads it for Python too.

    Another name of the shelf's architecture, or its id, leads to the shelf's entry, which is said on stderr.
    An entry of the Hub (hf://org/name) is downloaded into the Hub's cache first and checked there.

    Raises :class:`NotOnShelfError` for an unknown name, with the nearest known one, and
    :class:`EntryError` for an entry that cannot be downloaded or was altered.
    """
    from anas_zoo.core.errors import NotOnShelfError
    from anas_zoo.core.hints import Call
    from anas_zoo.core.progress import note
    from anas_zoo.zoo.shelf import locate, resolve

    if Path(text).is_file():
        raise NotOnShelfError(
            f"{text} is a file; give an entry's folder, or a name on the shelf: ", Call("list")
        )
    found = resolve(text)
    if not isinstance(found, Path):
        return locate(text)
    if found.name not in text:  # neither its name nor a path that ends in it
        note(f"  {text} is the architecture of {found.name}")
    return found


def summary(model: CatalogModel) -> dict[str, Any]:
    """The numbers of an entry as plain data.

    ``top1_kind`` says whether ``top1_pct`` was measured here or published by others, ``latency_ms`` is the
    median of one image on one thread; None stands for what is unknown.
    """
    quickest = model.quickest
    return {
        "name": model.name,
        "arch_id": model.id,
        "resolution": model.resolution,
        "num_classes": model.num_classes,
        "macs": model.macs,
        "params": model.params,
        "top1_pct": model.top1_pct,
        "top1_kind": model.top1_kind,
        "top1_data": model.data,
        "latency_ms": None if quickest is None else quickest[1].p50_ms,
        "latency_file": None if quickest is None else quickest[0],
        "latency_machine": None if quickest is None else quickest[1].machine,
        "has_weights": model.has_weights,
        "weights_licence": model.licence,
        "other_names": list(model.other_names),
        "folder": model.location,
    }
