"""The shelf: the entries that come with the package, and what a name means. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anas_zoo.core.errors import NotOnShelfError, nearest
from anas_zoo.core.resources import resource_folder, shelf_aliases
from anas_zoo.entry import CONFIG

if TYPE_CHECKING:
    from anas_zoo.zoo.hub import HubAddress

__all__ = ["LOCAL", "entry_folder", "list_models", "locate", "resolve"]

LOCAL = "local-dir:"  # timm's way of naming a folder


def list_models() -> list[str]:
    """Names of the entries on the shelf, sorted."""
    return sorted(path.parent.name for path in resource_folder("models").glob(f"*/{CONFIG}"))


def entry_folder(name: str) -> Path:
    """The folder of the shelf's entry ``name``, or of the one that ``name`` is an alias of.

    Raises :class:`NotOnShelfError` that names the nearest and all known ones.
    """
    known, aliases = list_models(), shelf_aliases()
    own = aliases.get(name, name)
    if own not in known:
        raise NotOnShelfError(
            f"no model named {name!r} on the shelf{nearest(name, [*known, *aliases])}; known: "
            f"{', '.join(known)}; or give an entry's folder"
        )
    return resource_folder("models") / own


def resolve(source: str | Path) -> Path | HubAddress:
    """The entry's folder, or the address on the Hub, that ``source`` names; alike in Python and for commands.

    Args:
        source: a name on the shelf, which wins over a folder of that name (write "./name" for the folder);
            a folder, also as "local-dir:FOLDER"; "hf-hub:org/name" or "hf://org/name", with "@revision" to
            pin one; another name of an architecture on the shelf ("alphanet_a0"), or its id.

    Raises :class:`NotOnShelfError` for an unknown name, with the nearest one, and
    :class:`HubError` for an address that cannot be one.
    """
    from anas_zoo.zoo.hub import HubAddress, is_address

    text = str(source)
    if is_address(text):
        return HubAddress.parse(text)
    if text.startswith(LOCAL):
        return Path(text.removeprefix(LOCAL))
    if isinstance(source, Path) or "/" in text or "\\" in text or text in (".", ".."):
        return Path(text)
    if text in list_models():
        return entry_folder(text)
    if text and Path(text).is_dir():
        return Path(text)
    if text in shelf_aliases():
        return entry_folder(text)
    from anas_zoo.zoo.catalog import resolve_name  # reads every entry of the shelf

    return entry_folder(resolve_name(text) or text)


def locate(source: str | Path) -> Path:
    """The folder of the entry that ``source`` names, as :func:`resolve` reads it.

    An entry of the Hub is downloaded into the cache where it is not there yet, and compared with its
    manifest. Raises as :func:`resolve` and :func:`anas_zoo.zoo.hub.pull` do.
    """
    from anas_zoo.zoo.hub import entry_from_hub

    found = resolve(source)
    return found if isinstance(found, Path) else entry_from_hub(str(found))
