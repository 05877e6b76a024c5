"""The shelf: the entries that come with the package. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.errors import NotOnShelfError, nearest
from anas_zoo.resources import resource_folder
from anas_zoo.zoo.entry import CONFIG

__all__ = ["entry_folder", "list_models"]


def list_models() -> list[str]:
    """Names of the entries on the shelf, sorted."""
    return sorted(path.parent.name for path in resource_folder("models").glob(f"*/{CONFIG}"))


def entry_folder(name: str) -> Path:
    """The folder of the shelf's entry ``name``.

    Raises :class:`NotOnShelfError` that names the nearest and all known ones.
    """
    known = list_models()
    if name not in known:
        raise NotOnShelfError(
            f"no model named {name!r} on the shelf{nearest(name, known)}; known: {', '.join(known)}; "
            "or give an entry's folder"
        )
    return resource_folder("models") / name
