"""What a Hub remembers: repositories with their commits, and the content of large files.

A commit is a value, and a branch moves by one assignment under a lock, so that a test which finds a mixed
repository has found a mistake of the publisher, not of this store.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGE = (".safetensors", ".onnx")  # as the Hub's .gitattributes has them


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class StoredFile:
    """A file in a commit; ``content`` is None for one whose bytes lie in the Xet store alone."""

    size: int
    oid: str
    content: bytes | None
    sha256: str | None = None  # of large files
    xet_hash: str | None = None

    @classmethod
    def regular(cls, content: bytes) -> StoredFile:
        return cls(len(content), git_blob(content), content)

    @classmethod
    def large(cls, sha256: str, size: int, content: bytes | None, xet_hash: str | None) -> StoredFile:
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return cls(size, git_blob(pointer.encode()), content, sha256, xet_hash)


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

    def __init__(self, xet: Path | None = None) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.xet = xet

    def get(self, repo_id: str) -> Repository:
        if repo_id not in self.repositories:
            raise Refused(404, "Repository not found", "RepoNotFound")
        return self.repositories[repo_id]

    def large_file(self, sha256: str) -> StoredFile:
        """The large file of that hash; refused when its content never came."""
        if sha256 in self.blobs:
            content = self.blobs[sha256]
            return StoredFile.large(sha256, len(content), content, None)
        for digest, xet_hash, size in self.xet_files():
            if digest == sha256:
                return StoredFile.large(sha256, size, None, xet_hash)
        raise Refused(400, f"LFS pointer pointed to a file that does not exist: {sha256}")

    def xet_files(self) -> Iterator[tuple[str, str, int]]:
        """(SHA-256, Xet hash, size) of every file that the shards of the Xet store describe."""
        if self.xet is not None:
            for shard in sorted(self.xet.rglob("*.mdb")):
                yield from read_shard(shard.read_bytes())


RECORD = 48
VERIFIED, DESCRIBED = 1 << 31, 1 << 30  # flags of a file: it has hashes of its ranges; it has its SHA-256


def _hash_text(raw: bytes) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def read_shard(data: bytes) -> Iterator[tuple[str, str, int]]:
    """(SHA-256, Xet hash, size) of the files in one shard: its header, then records of 48 bytes."""
    at = RECORD
    while data[at : at + 32] != b"\xff" * 32:
        xet_hash, flags, count = data[at : at + 32], *struct.unpack_from("<II", data, at + 32)
        segments = range(at + RECORD, at + RECORD * (count + 1), RECORD)
        size = sum(struct.unpack_from("<I", data, segment + 36)[0] for segment in segments)
        at += RECORD * (1 + count * (2 if flags & VERIFIED else 1))
        if flags & DESCRIBED:
            yield _hash_text(data[at : at + 32]), _hash_text(xet_hash), size
            at += RECORD
