"""What a Hub remembers: repositories with their commits, and the content of large files.

A commit is a value, and a branch moves by one assignment under a lock, so that a test which finds a mixed
repository has found a mistake of the publisher, not of this store.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LARGE = (".safetensors", ".onnx")  # as the Hub's .gitattributes has them


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class StoredFile:
    """A file in a commit."""

    size: int
    oid: str
    content: bytes
    sha256: str | None = None  # of large files

    @classmethod
    def regular(cls, content: bytes) -> StoredFile:
        return cls(len(content), git_blob(content), content)

    @classmethod
    def large(cls, sha256: str, content: bytes) -> StoredFile:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n"
        return cls(len(content), git_blob(pointer.encode()), content, sha256)


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    message: str
    files: Mapping[str, StoredFile]


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Repository:
    repo_id: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        rules = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LARGE)
        self.branches["main"] = self._add(
            None, "initial commit", {".gitattributes": StoredFile.regular(rules.encode())}
        )

    def _add(self, parent: str | None, message: str, files: Mapping[str, StoredFile]) -> str:
        text = repr((self.repo_id, parent, message, sorted((name, f.oid) for name, f in files.items())))
        commit = Commit(
            hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), parent, message, dict(files)
        )
        self.commits[commit.oid] = commit
        return commit.oid

    def at(self, revision: str) -> Commit:
        oid = self.branches.get("main" if revision == "HEAD" else revision, revision)
        if oid not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    @property
    def head(self) -> Commit:
        return self.at("main")

    def history(self, branch: str = "main") -> list[str]:
        """Messages of a branch's commits, the latest first."""
        found, oid = [], self.branches.get(branch)
        while oid is not None:
            found.append(self.commits[oid].message)
            oid = self.commits[oid].parent
        return found

    def commit(self, branch: str, lines: Sequence[Mapping[str, Any]], store: Store) -> Commit:
        """Apply the lines of one commit request, all of them or none."""
        header = lines[0]["value"]
        with self.lock:
            if branch not in self.branches:
                raise Refused(404, f"Invalid rev id: {branch}", "RevisionNotFound")
            parent = self.branches[branch]
            if header.get("parentCommit") not in (None, parent):
                raise Refused(412, "A commit has happened since. Please refresh and try again.")
            files = dict(self.commits[parent].files)
            for line in lines[1:]:
                _apply(line["key"], line["value"], files, store)
            self.branches[branch] = self._add(parent, header["summary"], files)
            return self.commits[self.branches[branch]]


def _apply(key: str, value: Mapping[str, Any], files: dict[str, StoredFile], store: Store) -> None:
    import base64

    path = value["path"]
    if key == "file":
        files[path] = StoredFile.regular(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        files[path] = store.large_file(value["oid"])
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    else:
        raise Refused(400, f"unknown operation {key}")


class Store:
    """All repositories of a Hub, and the content of large files by its SHA-256."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}

    def get(self, repo_id: str) -> Repository:
        if repo_id not in self.repositories:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.repositories[repo_id]

    def large_file(self, sha256: str) -> StoredFile:
        """The large file of that hash; refused when its content never came."""
        if sha256 not in self.blobs:
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {sha256}")
        return StoredFile.large(sha256, self.blobs[sha256])
