"""The Hub's answers, as functions of a request and the store: everything its clients ask for, no sockets."""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from hub_store import LARGE, Refused, Repository, Store, StoredFile

WRITE_TOKEN, READ_TOKEN = "hf_loopbackwritetoken00000000000000001", "hf_loopbackreadtoken000000000000000002"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
        return cls(
            status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    @classmethod
    def error(cls, status: int, message: str, code: str = "") -> Answer:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        return cls.of({"error": message}, status, headers)


Route = Callable[..., Answer]
ROUTES: list[tuple[str, re.Pattern[str], Route]] = []


def route(method: str, pattern: str) -> Callable[[Route], Route]:
    def add(function: Route) -> Route:
        ROUTES.append((method, re.compile(pattern), function))
        return function

    return add


REPO = r"(?P<repo>[^/]+/[^/]+)"
REV = r"(?P<rev>[^/]+)"


class Api:
    """The routes. ``own`` and ``cdn`` are the addresses of this server and of the one for large files."""

    def __init__(self, store: Store, own: str, cdn: str) -> None:
        self.store, self.own, self.cdn = store, own, cdn

    def answer(self, request: Request) -> Answer:
        try:
            self._check_token(request)
            for method, pattern, function in ROUTES:
                if (method == request.method or (method, request.method) == ("GET", "HEAD")) and (
                    found := pattern.fullmatch(request.path)
                ):
                    parts = {
                        k: urllib.parse.unquote(v) for k, v in found.groupdict().items() if v is not None
                    }
                    return function(self, request, **parts)
            return Answer.error(404, f"no such route: {request.method} {request.path}")
        except Refused as refused:
            return Answer.error(refused.status, refused.message, refused.code)

    @staticmethod
    def _check_token(request: Request) -> None:
        if request.token not in (None, WRITE_TOKEN, READ_TOKEN):
            raise Refused(401, "Invalid credentials in Authorization header")

    def _readable(self, request: Request, repo: str) -> Repository:
        found = self.store.get(repo)
        if found.private and request.token is None:
            raise Refused(401, "Repository not found", "RepoNotFound")
        return found

    def _writable(self, request: Request, repo: str) -> Repository:
        found = self._readable(request, repo)
        self._may_write(request)
        return found

    @staticmethod
    def _may_write(request: Request) -> None:
        if request.token is None:
            raise Refused(401, "Invalid username or password.")
        if request.token == READ_TOKEN:
            raise Refused(403, "you don't have the rights to write here")

    @route("POST", "/api/repos/create")
    def create(self, request: Request) -> Answer:
        self._may_write(request)
        asked = request.json()
        repo_id = f"{asked.get('organization') or 'user'}/{asked['name']}"
        known = repo_id in self.store.repositories
        if not known:
            private = asked.get("visibility") == "private" or asked.get("private") is True
            self.store.repositories[repo_id] = Repository(repo_id, private)
        body = {"url": f"{self.own}/{repo_id}", "name": repo_id, "id": repo_id}
        return Answer.of(
            body | ({"error": "You already created this model repo"} if known else {}), 409 if known else 200
        )

    @route("POST", "/api/validate-yaml")
    def validate(self, request: Request) -> Answer:
        head = re.match(r"---\n(.*?)\n---\n", request.json()["content"], re.DOTALL)
        try:
            data = yaml.safe_load(head.group(1)) if head else {}
        except yaml.YAMLError as exc:
            return Answer.of({"errors": [{"message": str(exc)}], "warnings": []}, 400)
        if data.get("license") == "other" and "license_name" not in data:
            return Answer.of({"errors": [{"message": '"license_name" is required'}], "warnings": []}, 400)
        return Answer.of({"errors": [], "warnings": []})

    @route("POST", f"/api/models/{REPO}/branch/{REV}")
    def branch(self, request: Request, repo: str, rev: str) -> Answer:
        found = self._writable(request, repo)
        if rev in found.branches:
            return Answer.error(409, "Reference already exists")
        found.branches[rev] = found.at(request.json().get("startingPoint", "main")).oid
        return Answer.of({})

    @route("POST", f"/api/models/{REPO}/preupload/{REV}")
    def preupload(self, request: Request, repo: str, rev: str) -> Answer:
        commit = self._writable(request, repo).at(rev)
        files = []
        for asked in request.json()["files"]:
            there = commit.files.get(asked["path"])
            files.append(
                {
                    "path": asked["path"],
                    "uploadMode": "lfs" if asked["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    **({"oid": there.sha256 or there.oid} if there else {}),
                }
            )
        return Answer.of({"files": files, "commitOid": commit.oid})

    @route("POST", rf"/{REPO}\.git/info/lfs/objects/batch")
    def batch(self, request: Request, repo: str) -> Answer:
        self._writable(request, repo)
        objects = []
        for asked in request.json()["objects"]:
            oid = asked["oid"]
            actions = {
                "upload": {"href": f"{self.cdn}/upload/{oid}"},
                "verify": {"href": f"{self.own}/verify/{repo}"},
            }
            objects.append(asked | ({} if oid in self.store.blobs else {"actions": actions}))
        return Answer.of({"transfer": "basic", "objects": objects})

    @route("PUT", "/upload/(?P<oid>[0-9a-f]{64})")
    def upload(self, request: Request, oid: str) -> Answer:
        if hashlib.sha256(request.body).hexdigest() != oid:
            return Answer.error(400, "the content does not have this SHA-256")
        self.store.blobs[oid] = request.body
        return Answer(headers={"ETag": f'"{oid}"'})

    @route("POST", f"/verify/{REPO}")
    def verify(self, request: Request, repo: str) -> Answer:
        self._writable(request, repo)
        asked = request.json()
        if len(self.store.blobs.get(asked["oid"], b"")) != asked["size"]:
            return Answer.error(404, "no such object")
        return Answer.of({})

    @route("POST", f"/api/models/{REPO}/commit/{REV}")
    def commit(self, request: Request, repo: str, rev: str) -> Answer:
        found = self._writable(request, repo)
        lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
        made = found.commit(rev, lines, self.store)
        url = f"{self.own}/{repo}/commit/{made.oid}"
        return Answer.of({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})

    @route("GET", f"/api/models/{REPO}(/revision/{REV})?")
    def info(self, request: Request, repo: str, rev: str = "main") -> Answer:
        return Answer.of(_info(repo, self._readable(request, repo), rev))

    @route("GET", "/api/models")
    def listing(self, request: Request) -> Answer:
        author = request.query.get("author", "")
        shown = {
            name: found
            for name, found in sorted(self.store.repositories.items())
            if name.startswith(f"{author}/") and (request.token is not None or not found.private)
        }
        return Answer.of([_info(name, found, "main") for name, found in shown.items()])

    @route("GET", f"/api/models/{REPO}/tree/{REV}")
    def tree(self, request: Request, repo: str, rev: str) -> Answer:
        commit = self._readable(request, repo).at(rev)
        return Answer.of([_described(name, commit.files[name]) for name in sorted(commit.files)])

    @route("GET", f"/{REPO}/resolve/{REV}/(?P<path>.+)")
    def resolve(self, request: Request, repo: str, rev: str, path: str) -> Answer:
        commit = self._readable(request, repo).at(rev)
        headers = {"X-Repo-Commit": commit.oid}
        there = commit.files.get(path)
        if there is None:
            answer = Answer.error(404, "Entry not found", "EntryNotFound")
            answer.headers |= headers
            return answer
        if there.sha256 is None:
            return ranged(request, there.content, {**headers, "ETag": f'"{there.oid}"'})
        headers |= {"X-Linked-Etag": f'"{there.sha256}"', "X-Linked-Size": str(there.size)}
        return Answer(302, b"", {**headers, "Location": f"{self.cdn}/large/{there.sha256}"})

    @route("GET", "/large/(?P<oid>[0-9a-f]{64})")
    def large(self, request: Request, oid: str) -> Answer:
        if oid not in self.store.blobs:
            return Answer.error(404, "no such object")
        return ranged(request, self.store.blobs[oid], {"ETag": f'"{oid}"'})


def _info(repo: str, found: Repository, rev: str) -> dict[str, Any]:
    commit = found.at(rev)
    return {
        "_id": "0" * 24, "id": repo, "modelId": repo, "author": repo.split("/")[0], "sha": commit.oid,
        "private": found.private, "gated": False, "disabled": False, "downloads": 0, "likes": 0,
        "tags": [], "lastModified": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "siblings": [{"rfilename": name} for name in sorted(commit.files)],
    }  # fmt: skip


def _described(name: str, file: StoredFile) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "file", "path": name, "size": file.size, "oid": file.oid}
    if file.sha256 is not None:
        data["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
    return data


def ranged(request: Request, content: bytes, headers: dict[str, str]) -> Answer:
    """The content, or the part of it that the request asks for."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not found:
        return Answer(200, content, headers)
    start, end = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
    if start >= len(content):
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
    return Answer(
        206, content[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"}
    )
