"""A checked entry or supernet to the Hub, in one commit on top of the state that was looked at.

``create_commit`` sends one request that changes the branch, and only if the branch still is at the commit
that is named as its parent. So whatever happens on the way, the repository is as it was or complete; and
after a lost answer it is enough to look which of the two it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from anas_zoo.core.errors import HubError, HubNotFoundError, HubOfflineError, HubUnreachableError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.hints import Option
from anas_zoo.core.progress import note
from anas_zoo.entry import MANIFEST, SUPERNET, read_manifest
from anas_zoo.zoo.hub.address import HubAddress
from anas_zoo.zoo.hub.client import endpoint, hub_api, hub_errors, is_offline, patiently
from anas_zoo.zoo.hub.pulling import snapshot

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


MAIN = "main"
Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class HubCommit:
    """An entry or a supernet on the Hub.

    Attributes:
        address: the repository and its branch, as hf://org/name@branch.
        commit: 40 digits of the commit that holds it.
        url: the commit's page.
        changed: names of the files that the commit brought or replaced; none if it was all there.
        deleted: names of the files that it removed.
    """

    address: str
    commit: str
    url: str
    changed: Names
    deleted: Names

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self)


@dataclass(frozen=True)
class _Remote:
    """The branch as it was at ``commit``."""

    commit: str
    private: bool
    files: Mapping[str, RepoFile]

    def lacks(self, folder: Path) -> Names:
        """Names of the folder's files that are not there, or with another content."""
        names = sorted((MANIFEST, *read_manifest(folder).files))
        return tuple(name for name in names if not _same(folder / name, self.files.get(name)))


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


def push(folder: Path, address: HubAddress, *, private: bool = False, message: str) -> HubCommit:
    """Make the branch hold the entry or the supernet in ``folder``, whose files were checked before.

    Args:
        folder: of what is published; it must not change meanwhile.
        address: the repository, which is made if it does not exist, and the branch (default main).
        private: make the repository a private one; an existing public one is then refused.
        message: of the commit.

    A file that an earlier version had and this one has not is removed in the same commit; files that belong
    to none stay. When everything is there already, there is no commit. What fails because the Hub is busy
    or the connection breaks is tried again, beginning with a look at the branch.

    Raises :class:`HubConflictError` when somebody else committed meanwhile, and other kinds of
    :class:`HubError` for what the Hub refuses; the branch then is as it was.
    """
    check_destination(address)
    branch = address.at(address.revision or MAIN)
    return patiently(lambda: _push(folder, branch, private, message))


def _push(folder: Path, branch: HubAddress, private: bool, message: str) -> HubCommit:
    remote = _open(branch, private)
    changed, stale = remote.lacks(folder), _stale(folder, branch, remote)
    commit = remote.commit
    if changed or stale:
        size = sum((folder / name).stat().st_size for name in changed)
        note(f"sending {len(changed)} files, {size / 1e6:.2f} MB, to {branch}")
        try:
            commit = _commit(folder, branch, commit, changed, stale, message)
        except HubUnreachableError:
            now = _look(branch)
            if now.lacks(folder) or any(name in now.files for name in stale):
                raise
            note("the Hub has the commit, only its answer was lost")
            commit = now.commit
    url = f"{endpoint()}/{branch.repo_id}/commit/{commit}"
    return HubCommit(str(branch), commit, url, changed, stale)


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
            f"({endpoint()}/{branch.repo_id}/settings), or leave out ",
            Option("private"),
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


def _same(path: Path, there: RepoFile | None) -> bool:
    if there is None or there.size != path.stat().st_size:
        return False
    if there.lfs is not None:
        return there.lfs.sha256 == sha256_file(path)
    content = path.read_bytes()  # a small file, which git keeps under this hash
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return there.blob_id == blob.hexdigest()


def _stale(folder: Path, branch: HubAddress, remote: _Remote) -> Names:
    """Files of the version that is there, which the new one has no more.

    Raises :class:`HubError` when the repository holds something else, such as a supernet where an entry is to
    be: it is not overwritten.
    """
    if MANIFEST not in remote.files:
        other = sorted(name for name in remote.files if not name.startswith(".") and name != "README.md")
        if other:
            raise HubError(
                f"{branch} holds {', '.join(other[:3])}{' and more' if len(other) > 3 else ''} but no "
                f"{MANIFEST}, so it is not an entry or a supernet and is not overwritten; "
                "give another repository or branch"
            )
        return ()
    before = read_manifest(snapshot(branch.at(remote.commit), names=())).files
    now = read_manifest(folder).files
    if (SUPERNET in before) != (SUPERNET in now):
        kinds = ("a supernet", "an entry") if SUPERNET in before else ("an entry", "a supernet")
        raise HubError(
            f"{branch} holds {kinds[0]}, which is not overwritten by {kinds[1]}; "
            "give another repository or branch"
        )
    return tuple(sorted(name for name in before if name in remote.files and name not in now))


def _commit(
    folder: Path, branch: HubAddress, parent: str, changed: Names, deleted: Names, message: str
) -> str:
    with hub_errors(branch):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        adds = [CommitOperationAdd(name, folder / name) for name in changed]
        deletes = [CommitOperationDelete(name) for name in deleted]
        done = hub_api().create_commit(
            branch.repo_id,
            [*adds, *deletes],
            commit_message=message,
            revision=branch.revision,
            parent_commit=parent,
        )
    return done.oid
