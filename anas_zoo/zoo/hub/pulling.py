"""An entry from the Hub or from another folder, whole and checked, as a new folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError, OutputError
from anas_zoo.core.files import disk_errors, output_folder, refuse_occupied, write_json
from anas_zoo.entry import MANIFEST, Entry, check_manifest
from anas_zoo.zoo.hub.address import HubAddress, is_address
from anas_zoo.zoo.hub.client import endpoint
from anas_zoo.zoo.hub.fetching import fetch, resolve

__all__ = ["SOURCE", "Pulled", "entry_from_hub", "pull"]

SOURCE = ".anas-source.json"  # hidden, so no part of the entry and not in its manifest


@dataclass(frozen=True)
class Pulled:
    """What :func:`pull` has brought.

    Attributes:
        name: the entry's name.
        folder: where it lies now.
        source: where it comes from, as it was asked for.
        commit: the Hub's commit that every file is of; None for one that came from a folder.
        files: number of files that have the hash of the manifest.
        size_bytes: of all of them.
    """

    name: str
    folder: Path
    source: str
    commit: str | None
    files: int
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self) | {"folder": str(self.folder)}


def pull(source: str | Path, out: Path) -> Pulled:
    """Bring the entry at ``source`` to the new folder ``out``.

    Every file is compared with the manifest's SHA-256 before ``out`` appears. Files that are in the Hub's
    cache already are not downloaded again, so a pull that was stopped goes on with what is missing. Where
    the entry came from, and at which commit, is written beside it as ``.anas-source.json``.

    Args:
        source: ``hf://org/name[@revision]`` or the folder of a published entry.
        out: the new folder; it must not hold anything yet.

    Raises :class:`EntryError` that names the file that is missing or altered,
    :class:`HubError` for what the Hub refuses, :class:`OutputError` when
    ``out`` is taken. ``out`` is then left as it was.
    """
    refuse_occupied(out)
    with output_folder(out) as staging:
        if is_address(str(source)):
            address = HubAddress.parse(str(source))
            commit = fetch(address, staging).revision
            record = {"repository": address.repo_id, "revision": address.revision, "endpoint": endpoint()}
        else:
            commit, record = None, {"folder": str(source)}
            _copy(Path(source), staging)
        manifest = check_manifest(staging)
        entry = Entry.read(staging, check_hashes=False)
        write_json(staging / SOURCE, {"format": 1, "source": str(source), "commit": commit, **record})
    sizes = [digest.bytes for digest in manifest.files.values()]
    return Pulled(entry.name, out, str(source), commit, len(sizes), sum(sizes))


def _copy(folder: Path, staging: Path) -> None:
    """The files of a published entry, after the originals were compared with their manifest."""
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; give a published entry or hf://org/name")
    for name in (MANIFEST, *check_manifest(folder).files):
        with disk_errors(staging / name):
            shutil.copyfile(folder / name, staging / name, follow_symlinks=False)


def entry_from_hub(text: str) -> Path:
    """The folder of an entry on the Hub, pulled into the user's cache when it is not there yet.

    Raises as :func:`pull` does.
    """
    pinned = resolve(HubAddress.parse(text))
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache = (Path(base) if base else Path.home() / ".cache") / "anas-zoo" / "hub"
    folder = cache / pinned.repo_id.replace("/", "--") / str(pinned.revision)
    if folder.is_dir():
        check_manifest(folder)
        return folder
    try:
        pull(str(pinned), folder)
    except OutputError:
        if not folder.is_dir():  # else somebody was quicker, with the same commit
            raise
    return folder
