"""The shelf, which is the bundled models, and what the name of a model means. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from anas_zoo.core.errors import NotOnShelfError, nearest
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note
from anas_zoo.core.resources import resource_folder, shelf_aliases
from anas_zoo.entry import CONFIG, WEIGHTS, CheckedFolder

if TYPE_CHECKING:
    from anas_zoo.zoo.hub import HubAddress


LOCAL = "local-dir:"  # timm's way of naming a folder
GENERIC = "attentive_nas"  # the model of any architecture; no entry has this name


def list_models(filter: str | Iterable[str] | None = None, *, pretrained: bool = False) -> list[str]:
    """Names of the models on the shelf, sorted.

    Args:
        filter: a wildcard pattern such as "digits_*", or several, of which one must match.
        pretrained: only models whose weights are bundled, for ``create_model(name, pretrained=True)``.
    """
    patterns = [filter] if isinstance(filter, str) else ["*"] if filter is None else list(filter)
    folders = sorted(path.parent for path in resource_folder("models").glob(f"*/{CONFIG}"))
    return [
        folder.name
        for folder in folders
        if any(fnmatchcase(folder.name, pattern) for pattern in patterns)
        and (not pretrained or (folder / WEIGHTS).is_file())
    ]


def entry_folder(name: str) -> Path:
    """The folder of the shelf's entry ``name``, or of the one that ``name`` is an alias of.

    Raises :class:`NotOnShelfError` that names the nearest and how to list all.
    """
    known, aliases = list_models(), shelf_aliases()
    own = aliases.get(name, name)
    if own not in known:
        raise NotOnShelfError(
            f"no model named {name!r} on the shelf{nearest(name, [*known, *aliases])}; "
            f"its {len(known)} names: ",
            Call("list"),
            "; or give an entry's folder",
        )
    return resource_folder("models") / own


def resolve(source: str | Path) -> Path | HubAddress:
    """The entry's folder, or the address on the Hub, that ``source`` names; nothing is downloaded.

    Args:
        source: a name on the shelf, which wins over a folder of that name (write "./name" for the folder);
            a folder, also as "local-dir:FOLDER"; "hf-hub:org/name" or "hf://org/name", with "@revision" to
            pin one; another name of an architecture on the shelf ("alphanet_a0"), or its id.

    Raises :class:`NotOnShelfError` for an unknown name, with the nearest one, and
    :class:`HubError` for what is not a valid address.
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


def locate(source: str | Path | CheckedFolder) -> Path:
    """The folder of what ``source`` names, as every stage and every command finds it.

    Another name of the shelf's architecture, or its id, leads to the shelf's entry, which is noted. An entry
    of the Hub is downloaded into the Hub's cache where it is not there yet, and compared with its manifest.

    Args:
        source: what :func:`resolve` reads, or an entry or a supernet, which stands for its folder.

    Raises as :func:`resolve` and :func:`anas_zoo.zoo.hub.snapshot` do, and :class:`NotOnShelfError` for a
    file.
    """
    from anas_zoo.zoo.hub import snapshot

    if isinstance(source, CheckedFolder):
        return source.folder
    found = resolve(source)
    if not isinstance(found, Path):
        return snapshot(found)
    if found.is_file():
        raise NotOnShelfError(
            f"{source} is a file; give an entry's folder, or a name on the shelf: ", Call("list")
        )
    if found.name not in str(source):  # neither its name nor a path that ends in it
        note(f"  {source} is the architecture of {found.name}")
    return found
