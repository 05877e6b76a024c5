"""Whatever happens on the way: the right error, a retry or a resume, and a repository that is never mixed."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from hub_program import Program, content_of, environment, repository, visible
from hub_server import Fault, Hub
from hub_store import StoredFile

from anas_zoo.core.files import sha256_file
from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]

COMMIT, UPLOAD, PREUPLOAD = r"POST /api/.*/commit/", r"PUT /upload/", r"POST /api/.*/preupload/"
BATCH, INFO, TREE = (
    r"POST /.*info/lfs/",
    r"GET /api/models/[^/?]+/[^/?]+(/revision/|$)",
    r"GET /api/models/.*/tree/",
)
RESOLVE, LARGE = r"GET /[^?]*/resolve/", r"GET /large/"


def new_version(entry: Path, address: str) -> None:
    """Change a small file and a large one, as nobody has before, and take one away."""
    (entry / "README.md").write_text((entry / "README.md").read_text() + "\nAnother edition.\n")
    (entry / "model.onnx").write_bytes((entry / "model.onnx").read_bytes() + address.encode())
    (entry / "report.json").unlink()
    write_manifest(entry)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "kind", "status"),
    [
        (INFO, "status", 503),
        (UPLOAD, "status", 503),
        (TREE, "drop", 0),
        (BATCH, "cut", 0),
        (COMMIT, "cut", 0),
        (COMMIT, "status", 429),
    ],
)
def test_publishing_resumes_after_one_fault(
    match: str, kind: str, status: int, hub: Hub, program: Program, address: str, entry: Path
) -> None:
    assert program.push(entry, address).code == 0
    new_version(entry, address)
    fault = hub.faults.add(Fault(match, kind, status=status))  # type: ignore[arg-type]
    done = program.push(entry, address)
    assert fault.reached.is_set()
    assert done.code == 0, done.err
    repo = repository(hub, address)
    assert done.out.strip() == repo.head.oid
    assert len(repo.history()) == 3  # the fault has not doubled the commit
    assert visible(hub, address) == content_of(entry)


def test_a_lost_answer_is_recognised(hub: Hub, program: Program, address: str, entry: Path) -> None:
    hub.faults.add(Fault(COMMIT, "lose"))
    done = program.push(entry, address)
    assert done.code == 0
    assert "the Hub has the commit, only its answer was lost" in done.err
    assert len(hub.lines("/commit/")) == 1
    assert done.out.strip() == repository(hub, address).head.oid


@pytest.mark.parametrize(
    ("match", "fault", "said"),
    [
        (COMMIT, {"status": 503}, "the Hub is too busy or out of order (503)"),
        (UPLOAD, {"kind": "drop"}, "no answer from http://127.0.0.1:"),
        (PREUPLOAD, {"status": 401, "message": "Invalid credentials"}, "asks for a valid token (Invalid"),
        (COMMIT, {"status": 403, "message": "read only"}, "not allowed (read only)"),
        (COMMIT, {"status": 400, "message": "no such object"}, "the Hub answered 400 (no such object)"),
        (COMMIT, {"status": 412, "message": "stale"}, "was changed by somebody else meanwhile"),
    ],
)  # fmt: skip
def test_a_fault_that_stays_leaves_the_repository_as_it_was(
    match: str, fault: dict[str, object], said: str, hub: Hub, program: Program, address: str, entry: Path
) -> None:
    program.push(entry, address)
    before = repository(hub, address).branches.copy()
    new_version(entry, address)
    hub.faults.add(Fault(match, **({"kind": "status", "times": None} | fault)))  # type: ignore[arg-type]
    refusal = program.push(entry, address).refusal
    assert said in refusal
    assert address in refusal
    assert repository(hub, address).branches == before
    hub.faults.clear()
    assert program.push(entry, address).code == 0
    assert visible(hub, address) == content_of(entry)


def test_somebody_else_commits_meanwhile(hub: Hub, program: Program, address: str, entry: Path) -> None:
    program.push(entry, address)
    repo = repository(hub, address)
    new_version(entry, address)
    fault = hub.faults.add(Fault(COMMIT, "hold"))

    def interfere() -> None:
        fault.reached.wait(30)
        theirs = {**repo.head.files, "README.md": StoredFile.regular(b"theirs")}
        repo.branches["main"] = repo._add(repo.head.oid, "theirs", theirs)
        fault.go_on.set()

    other = threading.Thread(target=interfere)
    other.start()
    said = program.push(entry, address).refusal
    other.join()
    assert "was changed by somebody else meanwhile" in said
    assert repo.head.message == "theirs"
    assert visible(hub, address)["README.md"] == b"theirs"
    assert program.push(entry, address).code == 0
    assert visible(hub, address) == content_of(entry)


def test_a_file_that_was_altered_there_is_seen_and_repaired(
    hub: Hub, program: Program, address: str, entry: Path
) -> None:
    program.push(entry, address)
    repo = repository(hub, address)
    files = {**repo.head.files, "model.onnx": repo.head.files["model.safetensors"]}
    repo.branches["main"] = repo._add(repo.head.oid, "altered", files)
    # Although the manifest there is the right one.
    assert program.push(entry, address).code == 0
    assert visible(hub, address) == content_of(entry)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "kind", "status"),
    [
        (INFO, "status", 503),
        (RESOLVE, "drop", 0),
        (LARGE, "cut", 0),
    ],
)
def test_pulling_resumes_after_one_fault(
    match: str, kind: str, status: int, hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    program.push(entry, address)
    fault = hub.faults.add(Fault(match, kind, status=status))  # type: ignore[arg-type]
    done = program.run("pull", address, "--out", tmp_path / "out")
    assert fault.reached.is_set()
    assert done.code == 0, done.err
    assert content_of(tmp_path / "out") == content_of(entry)


def test_a_cut_download_is_resumed_where_it_was_cut(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    (entry / "model.onnx").write_bytes(b"\1\2\3\4" * 6 * 2**20)  # the client writes pieces of 10 MiB
    write_manifest(entry)
    program.push(entry, address)
    hub.faults.add(Fault(LARGE + sha256_file(entry / "model.onnx"), "cut"))
    program.ok("pull", address, "--out", tmp_path / "out")
    assert content_of(tmp_path / "out") == content_of(entry)
    resumed = [seen for seen in hub.seen if seen.range and "/large/" in seen.line]
    assert resumed
    assert not [seen for seen in hub.seen if seen.authorised and "/large/" in seen.line]


@pytest.mark.parametrize(
    ("match", "fault", "said"),
    [
        (LARGE, {"kind": "flip"}, "was altered (size or SHA-256 differs)"),
        (r"GET .*/resolve/.*/README.md", {"kind": "flip"}, "README.md was altered"),
        (LARGE, {"kind": "cut"}, "peer closed connection without sending complete"),
        (LARGE, {"status": 403}, "not allowed"),
        (INFO, {"status": 503}, "too busy or out of order (503)"),
    ],
)  # fmt: skip
def test_a_pull_that_cannot_be_leaves_nothing_and_resumes_later(
    match: str, fault: dict[str, object], said: str,
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path,
) -> None:  # fmt: skip
    program.push(entry, address)
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    hub.faults.add(Fault(match, **({"kind": "status", "times": None} | fault)))  # type: ignore[arg-type]
    assert said in program.run("pull", address, "--out", tmp_path / "out").refusal
    assert sorted(tmp_path.iterdir()) == [entry, mine]
    hub.faults.clear()
    program.ok("pull", address, "--out", tmp_path / "out")
    assert content_of(tmp_path / "out") == content_of(entry)


@pytest.mark.slow
def test_no_hub_at_all(hub: Hub, address: str, entry: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    home = tmp_path / "home"
    with Program(environment(hub, home, HF_ENDPOINT=url), home) as program:
        for done in (program.push(entry, address), program.run("pull", address, "--out", tmp_path / "out")):
            assert f"no answer from {url}" in done.refusal
            assert "check the network, or HF_ENDPOINT" in done.refusal
    assert not (tmp_path / "out").exists()
