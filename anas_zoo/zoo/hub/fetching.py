"""Files of an entry on the Hub, through the Hub's own cache, each compared with the entry's manifest.

The Hub's client compares sizes only, and keeps a damaged file under the right hash; so nothing from the
cache is used before it was hashed here.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from anas_zoo.core.errors import EntryError, HubOfflineError
from anas_zoo.core.files import disk_errors, sha256_file
from anas_zoo.core.progress import note
from anas_zoo.entry import MANIFEST, FileDigest, read_manifest
from anas_zoo.zoo.hub.address import HubAddress
from anas_zoo.zoo.hub.client import hub_api, hub_errors, is_offline, patiently

__all__ = ["blob_id", "fetch", "resolve"]


def resolve(address: HubAddress) -> HubAddress:
    """``address`` at the commit that its revision is now (in offline mode: when it was last looked up).

    Raises :class:`HubError` when there is none or the Hub cannot be asked.
    """
    if address.pinned:
        return address

    def ask() -> str:
        with hub_errors(address):
            api = hub_api()
            if not is_offline():
                # resolve_revision alone falls back to an old commit when the Hub does not answer.
                api.repo_info(address.repo_id, revision=address.revision)
            return api.resolve_revision(address.repo_id, revision=address.revision).resolved

    return address.at(patiently(ask))


def fetch(address: HubAddress, folder: Path, names: Collection[str] | None = None) -> HubAddress:
    """Copy an entry's files from the Hub into ``folder``, which exists, after they were checked.

    Args:
        address: where the entry lies.
        folder: gets manifest.json and the files.
        names: which of the manifest's files; None for all of them.

    Returns the address with the commit that all files are of. Raises :class:`EntryError` that names the
    file that is missing or not the one of the manifest, and :class:`HubError` for what the
    Hub refuses.
    """
    pinned = resolve(address)
    _check_and_copy(pinned, MANIFEST, folder, _is_the_blob, known=_cached(pinned, MANIFEST))
    listed = read_manifest(folder).files
    wanted = {name: digest for name, digest in listed.items() if names is None or name in names}
    lacking = sorted(set(names or ()) - set(wanted))
    if lacking:
        raise EntryError(f"{pinned}: {MANIFEST} does not list {', '.join(lacking)}, so this is no entry")
    if not wanted:
        return pinned
    known = {name: _cached(pinned, name) for name in wanted}

    def download() -> None:
        from huggingface_hub import snapshot_download

        with hub_errors(pinned):
            snapshot_download(pinned.repo_id, revision=pinned.revision, allow_patterns=sorted(wanted))

    if not is_offline():
        patiently(download)
    elif absent := [name for name in wanted if _cached(pinned, name) is None]:
        # The client hands out a folder that was filled in part without a word.
        raise HubOfflineError(
            f"{pinned}: offline mode is on and the cache lacks {', '.join(absent)}; unset HF_HUB_OFFLINE "
            "and try again"
        )
    absent = [name for name in wanted if _cached(pinned, name) is None]
    if absent:
        raise EntryError(f"{pinned}: {MANIFEST} lists {', '.join(absent)}, which the Hub does not have there")
    for name, digest in wanted.items():
        _check_and_copy(pinned, name, folder, _has(digest), known=known[name])
    return pinned


def _cached(pinned: HubAddress, name: str) -> Path | None:
    """Where the cache has a file, whatever is in it."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(pinned.repo_id, name, revision=pinned.revision)
    return Path(found) if isinstance(found, str) else None


def _check_and_copy(
    pinned: HubAddress, name: str, folder: Path, is_right: Callable[[Path, Path], bool], *, known: Path | None
) -> None:
    """Put a checked copy of the file into ``folder``.

    ``is_right`` gets the file to look at and the place in the cache that it is from; ``known`` is where the
    cache had it before this call. What was damaged there is downloaded once more; what comes damaged from
    the Hub is an error.
    """
    path = known or _download(pinned, name)
    if not is_right(path, path) and known is not None and not is_offline():
        note(f"{name} in the cache is not what was published; downloading it again")
        path = _download(pinned, name, again=True)
    with disk_errors(folder / name):
        shutil.copyfile(path, folder / name)
    if not is_right(folder / name, path):
        where = f"as it lies in the cache ({path})" if is_offline() else "as the Hub sends it"
        (folder / name).unlink()
        raise EntryError(
            f"{pinned}: {name} {where} is not the file that was published (SHA-256 differs); nothing was "
            "changed here; try again, and if it stays so do not use this entry"
        )


def _download(pinned: HubAddress, name: str, *, again: bool = False) -> Path:
    def download() -> Path:
        from huggingface_hub import hf_hub_download

        with hub_errors(pinned):
            return Path(hf_hub_download(pinned.repo_id, name, revision=pinned.revision, force_download=again))

    return patiently(download)


def _has(digest: FileDigest) -> Callable[[Path, Path], bool]:
    return lambda path, _: path.stat().st_size == digest.bytes and sha256_file(path) == digest.sha256


def blob_id(content: bytes) -> str:
    """The name that git has for a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _is_the_blob(path: Path, cached: Path) -> bool:
    """Whether a small file is the one that the commit names, as far as the cache can tell.

    No manifest lists the manifest; but the cache calls a file by the hash that the Hub gave for it.
    """
    name = cached.resolve().name
    return re.fullmatch(r"[0-9a-f]{40}", name) is None or blob_id(path.read_bytes()) == name
