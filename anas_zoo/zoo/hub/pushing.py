"""A checked entry to the Hub, in one commit on top of the state that was looked at.

``create_commit`` sends one request that changes the branch, and only if the branch still is at the commit
that is named as its parent. So whatever happens on the way, the repository is as it was or complete; and
after a lost answer it is enough to look which of the two it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anas_zoo.core.errors import (
    EntryError,
    HubConflictError,
    HubError,
    HubNotFoundError,
    HubOfflineError,
    HubUnreachableError,
)
from anas_zoo.core.files import sha256_file
from anas_zoo.core.progress import note
from anas_zoo.entry import MANIFEST, read_manifest
from anas_zoo.zoo.hub import client
from anas_zoo.zoo.hub.address import HubAddress
from anas_zoo.zoo.hub.client import endpoint, hub_api, hub_errors, is_offline, patiently
from anas_zoo.zoo.hub.fetching import blob_id, fetch

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

__all__ = ["HubCommit", "check_destination", "push"]

MAIN = "main"


@dataclass(frozen=True)
class HubCommit:
    """An entry on the Hub.

    Attributes:
        address: the repository and its branch, as hf://org/name@branch.
        commit: 40 digits of the commit that holds the entry.
        url: the commit's page.
        changed: names of the files that the commit brought or replaced; none if it was all there.
        deleted: names of the files that it removed.
    """

    address: str
    commit: str
    url: str
    changed: tuple[str, ...]
    deleted: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self)


@dataclass(frozen=True)
class _Remote:
    """The branch as it was at ``commit``."""

    commit: str
    private: bool
    files: Mapping[str, RepoFile]


def push(folder: Path, address: HubAddress, *, private: bool = False, message: str) -> HubCommit:
    """Make the branch hold the entry in ``folder``, whose files were checked before.

    Args:
        folder: a published entry; nobody may write in it meanwhile.
        address: the repository, which is made if it does not exist, and the branch (default main).
        private: make the repository a private one; an existing public one is then refused.
        message: of the commit.

    A file that an earlier entry had and this one has not is removed in the same commit; files that belong
    to no entry stay. When everything is there already, there is no commit.
    Raises :class:`HubConflictError` when somebody else committed meanwhile, and other kinds of
    :class:`HubError` for what the Hub refuses; the branch then is as it was.
    """
    check_destination(address)
    branch = address.at(address.revision or MAIN)
    remote = patiently(lambda: _open(branch, private))
    stale = _stale(branch, remote, set(read_manifest(folder).files))
    changed = tuple(sorted(_differing(folder, remote)))
    if not changed and not stale:
        return _done(branch, remote.commit, (), ())
    size = sum((folder / name).stat().st_size for name in changed)
    note(f"sending {len(changed)} files, {size / 1e6:.2f} MB, to {branch}")
    commit = _commit(folder, branch, remote, changed, stale, message)
    return _done(branch, commit, changed, stale)


def check_destination(address: HubAddress) -> None:
    """Refuse what can be seen without asking the Hub: a commit as the destination, and offline mode.

    Raises :class:`HubError`.
    """
    if is_offline():
        raise HubOfflineError(f"publishing to {address} needs the Hub; unset HF_HUB_OFFLINE")
    if address.pinned:
        raise HubError(
            f"{address}: a commit does not change; give a branch, as in hf://{address.repo_id}@main"
        )


def _done(branch: HubAddress, commit: str, changed: tuple[str, ...], deleted: tuple[str, ...]) -> HubCommit:
    url = f"{endpoint()}/{branch.repo_id}/commit/{commit}"
    return HubCommit(str(branch), commit, url, changed, deleted)


def _open(branch: HubAddress, private: bool) -> _Remote:
    """The branch as it is; the repository and the branch are made when they are not there."""
    try:
        remote = _look(branch)
    except HubNotFoundError:
        with hub_errors(branch):
            api = hub_api()
            api.create_repo(branch.repo_id, private=True if private else None, exist_ok=True)
            if branch.revision != MAIN:
                api.create_branch(branch.repo_id, branch=str(branch.revision), exist_ok=True)
        remote = _look(branch)
    if private and not remote.private:
        raise HubError(
            f"{branch.at(None)} exists and is public; make it private in its settings "
            f"({endpoint()}/{branch.repo_id}/settings), or publish without --private"
        )
    return remote


def _look(branch: HubAddress) -> _Remote:
    with hub_errors(branch):
        from huggingface_hub.hf_api import RepoFile

        api = hub_api()
        info = api.repo_info(branch.repo_id, revision=branch.revision)
        tree = api.list_repo_tree(branch.repo_id, revision=info.sha, recursive=True)
        files = {item.path: item for item in tree if isinstance(item, RepoFile)}
        return _Remote(str(info.sha), bool(info.private), files)


def _differing(folder: Path, remote: _Remote) -> set[str]:
    """Names of the entry's files that the Hub has not, or has with another content."""
    names = (MANIFEST, *read_manifest(folder).files)
    return {name for name in names if not _same(folder / name, remote.files.get(name))}


def _same(path: Path, there: RepoFile | None) -> bool:
    if there is None or there.size != path.stat().st_size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == sha256_file(path)
    return there.blob_id == blob_id(path.read_bytes())


def _stale(branch: HubAddress, remote: _Remote, now: set[str]) -> tuple[str, ...]:
    """Files of the entry that is there, which the new one has no more.

    Raises :class:`HubError` when the repository holds something that is no entry: it is not overwritten.
    """
    if MANIFEST not in remote.files:
        other = sorted(name for name in remote.files if not name.startswith(".") and name != "README.md")
        if other:
            raise HubError(
                f"{branch} holds {', '.join(other[:3])}{' and more' if len(other) > 3 else ''} but no "
                f"{MANIFEST}, so it is no entry and is not overwritten; give another repository or branch"
            )
        return ()
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="anas-hub-") as temporary:
        fetch(branch.at(remote.commit), Path(temporary), names=())
        before = read_manifest(Path(temporary)).files
    return tuple(sorted(name for name in before if name in remote.files and name not in now))


def _commit(
    folder: Path,
    branch: HubAddress,
    parent: _Remote,
    changed: tuple[str, ...],
    stale: tuple[str, ...],
    message: str,
) -> str:
    """One commit on top of ``parent``; returns its 40 digits, also when only its answer was lost."""
    waits = [*client.WAITS]
    while True:
        try:
            commit = _send(folder, branch, parent, changed, stale, message)
            break
        except (HubConflictError, HubUnreachableError) as exc:
            now = patiently(lambda: _look(branch))
            if not _differing(folder, now) and not any(name in now.files for name in stale):
                note("the Hub has the commit, only its answer was lost")
                return now.commit
            if now.commit != parent.commit or isinstance(exc, HubConflictError):
                raise HubConflictError(
                    f"{branch} was changed by somebody else meanwhile: it is at {now.commit[:12]}, not at "
                    f"{parent.commit[:12]}, and does not hold this entry; look at it, then publish again"
                ) from exc
            if not waits:
                raise HubUnreachableError(f"{exc}; {branch} is as it was, so publish again later") from exc
            wait = waits.pop(0)
            note(f"{exc}; trying again in {wait:g} s")
            time.sleep(wait)
    missing = sorted(_differing(folder, patiently(lambda: _look(branch.at(commit)))))
    if missing:
        raise HubError(f"{branch}: the Hub did not store {', '.join(missing)} as it was sent; publish again")
    return commit


def _send(
    folder: Path,
    branch: HubAddress,
    parent: _Remote,
    changed: tuple[str, ...],
    stale: tuple[str, ...],
    message: str,
) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    # New ones for every try: they remember what became of them.
    adds = [CommitOperationAdd(name, folder / name) for name in changed]
    deletes = [CommitOperationDelete(name) for name in stale]
    with hub_errors(branch):
        done = hub_api().create_commit(
            branch.repo_id,
            [*adds, *deletes],
            commit_message=message,
            revision=branch.revision,
            parent_commit=parent.commit,
        )
    if not done.oid:
        raise EntryError(f"{branch}: the Hub named no commit")
    return done.oid
