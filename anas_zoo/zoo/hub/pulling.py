"""An entry or a supernet from the Hub, in the Hub's cache or as a new folder; every file is hashed.

The Hub's client compares sizes only, so a file is hashed here before anything uses it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import EntryError, HubError, HubNotFoundError
from anas_zoo.core.files import disk_errors, output_folder, refuse_occupied, write_json
from anas_zoo.core.progress import note
from anas_zoo.entry import CONFIG, MANIFEST, SUPERNET, check_manifest, kind_of_folder, read_manifest
from anas_zoo.zoo.hub.address import HubAddress, is_address
from anas_zoo.zoo.hub.client import endpoint, hub_api, hub_errors, is_offline, not_cached, patiently

SOURCE = ".anas-source.json"  # hidden, so no part of the entry and not in its manifest


def snapshot(address: HubAddress, names: Collection[str] | None = None) -> Path:
    """The folder of the Hub's cache with a repository's files, all of one commit, which is the folder's name.

    What the cache lacks is downloaded, and everything asked for is compared with the manifest; what is not
    right is downloaded once more. With HF_HUB_OFFLINE the cache is all there is.

    Args:
        address: of the repository.
        names: which of the manifest's files; None for all of them.

    Raises :class:`EntryError` that names the file that is missing or not the one of the manifest, and
    :class:`HubError` for what the Hub refuses.
    """
    try:
        return _checked(address, names)
    except HubError:
        raise
    except EntryError as exc:
        if is_offline():
            raise
        note(f"{exc}; downloading it again")
        return _checked(address, names, again=True)


def _checked(address: HubAddress, names: Collection[str] | None, *, again: bool = False) -> Path:
    folder = patiently(lambda: _download(address, [MANIFEST], again))
    if not (folder / MANIFEST).is_file():
        raise HubNotFoundError(
            f"{address}: there is no {MANIFEST}; is it an entry or a supernet of anas-zoo?"
        )
    listed = read_manifest(folder).files
    wanted = sorted(listed if names is None else names)
    if unlisted := [name for name in wanted if name not in listed]:
        raise EntryError(f"{address}: {MANIFEST} does not list {', '.join(unlisted)}{_kind_of(listed)}")
    absent = [name for name in wanted if not (folder / name).is_file()]
    if absent and is_offline():
        raise not_cached(address, ", ".join(absent))
    if absent or again:
        patiently(lambda: _download(address.at(folder.name), wanted, again))
    try:
        check_manifest(folder, names=wanted)
    except EntryError as exc:
        raise EntryError(f"{address}: ", *exc.parts) from exc
    return folder


def _kind_of(listed: Collection[str]) -> str:
    """What a manifest is of, where it was expected to be of something else."""
    kinds = {CONFIG: "an entry, not a supernet", SUPERNET: "a supernet, not an entry"}
    return "".join(f"; this is {kind}" for record, kind in kinds.items() if record in listed)


def _download(address: HubAddress, names: list[str], again: bool) -> Path:
    with hub_errors(address):
        from huggingface_hub import snapshot_download

        if not is_offline() and not address.pinned:
            # When the Hub does not answer, snapshot_download alone returns an older commit without a word.
            hub_api().repo_info(address.repo_id, revision=address.revision)
        return Path(
            snapshot_download(
                address.repo_id,
                revision=address.revision,
                allow_patterns=names,
                force_download=again,
                library_name="anas-zoo",
            )
        )


@dataclass(frozen=True)
class Pulled:
    """The result of :func:`pull`.

    Attributes:
        name: of the entry or the supernet.
        folder: the copy.
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


def pull(source: str | Path, out: str | Path) -> Pulled:
    """Copy the entry or the supernet at ``source`` to the new folder ``out``.

    Every file is compared with the manifest's SHA-256 before ``out`` appears. Files that are in the Hub's
    cache already are not downloaded again, so a pull that was stopped resumes with what is missing. Where
    it came from, and at which commit, is written beside it as ``.anas-source.json``.

    Args:
        source: ``hf://org/name[@revision]`` or the folder of what is published.
        out: the new folder; it must not hold anything yet.

    Raises :class:`EntryError` that names the file that is missing or altered,
    :class:`HubError` for what the Hub refuses, :class:`OutputError` when
    ``out`` is taken. ``out`` is then left as it was.
    """
    out = Path(out)
    refuse_occupied(out)
    record: dict[str, Any] = {"format": 1, "source": str(source)}
    if is_address(str(source)):
        address = HubAddress.parse(str(source))
        folder = snapshot(address)
        record |= {"repository": address.repo_id, "revision": address.revision, "endpoint": endpoint()}
        commit = folder.name
    else:
        folder, commit = Path(source), None
        if not folder.is_dir():
            raise EntryError(
                f"{folder}: no such folder; give a published entry or supernet, or hf://org/name"
            )
        check_manifest(folder)
    with output_folder(out) as staging:
        for name in (MANIFEST, *read_manifest(folder).files):
            with disk_errors(staging / name):
                shutil.copyfile(folder / name, staging / name)
        manifest = check_manifest(staging)
        entry = kind_of_folder(staging).read(staging, check_hashes=False)
        write_json(staging / SOURCE, record | {"commit": commit})
    sizes = [digest.bytes for digest in manifest.files.values()]
    return Pulled(entry.name, out, str(source), commit, len(sizes), sum(sizes))
