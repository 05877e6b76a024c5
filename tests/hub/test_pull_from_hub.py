from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_program import SHELF, Program, cached, content_of, environment, repository
from hub_server import Hub
from hub_store import StoredFile

from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]


def test_a_pull_is_whole_pinned_and_recorded(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.push(entry, address).out.strip()
    out = tmp_path / "out"
    pulled = program.ok("pull", address, "--out", out)
    assert (pulled["name"], pulled["commit"], pulled["files"]) == (
        "digits_s",
        commit,
        len(content_of(entry)) - 1,
    )
    assert content_of(out) == content_of(entry)
    assert json.loads((out / ".anas-source.json").read_text()) == {
        "format": 1, "source": address, "repository": address.removeprefix("hf://"), "revision": None,
        "endpoint": hub.url, "commit": commit,
    }  # fmt: skip
    assert not [path for path in out.iterdir() if path.is_symlink()]
    # What was pulled is an entry like any other, and its record stays here.
    again = program.ok("publish", out, "--to", address)
    assert (again["commit"], again["changed"]) == (commit, [])


def test_an_old_commit_and_a_branch(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    old, before = program.push(entry, address).out.strip(), content_of(entry)
    (entry / "README.md").write_text((entry / "README.md").read_text() + "\nNew.\n")
    write_manifest(entry)
    new = program.push(entry, address).out.strip()
    program.ok("pull", f"{address}@{old}", "--out", tmp_path / "old")
    assert content_of(tmp_path / "old") == before
    assert program.ok("pull", f"{address}@main", "--out", tmp_path / "new")["commit"] == new
    assert content_of(tmp_path / "new") == content_of(entry)


def test_a_folder_is_a_source_too(program: Program, entry: Path, tmp_path: Path) -> None:
    pulled = program.ok("pull", entry, "--out", tmp_path / "out")
    assert (pulled["commit"], content_of(tmp_path / "out")) == (None, content_of(entry))
    (entry / "model.onnx").write_bytes(b"other")
    assert "model.onnx was altered" in program.run("pull", entry, "--out", tmp_path / "two").refusal
    assert not (tmp_path / "two").exists()
    assert "already holds" in program.run("pull", SHELF, "--out", tmp_path / "out").refusal
    assert "no such folder" in program.run("pull", tmp_path / "nowhere", "--out", tmp_path / "two").refusal


def test_one_place_for_every_command(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    """The Hub's cache: nothing is downloaded twice, and there is no second cache."""
    commit = program.push(entry, address).out.strip()
    repo = repository(hub, address)
    files = {**repo.head.files, "front.png": StoredFile.regular(b"a picture, of no entry")}
    repo.branches["main"] = commit = repo._add(commit, "picture", files)
    place = cached(program, address, commit, "config.json").parent
    assert program.ok("show", f"hf-hub:{address.removeprefix('hf://')}")["folder"] == str(place)
    assert content_of(place) == content_of(entry)
    (place / "front.png").write_bytes(b"downloaded by another program")
    hub.seen.clear()
    assert program.ok("verify", f"{address}@{commit}")["torch_max_abs_diff"] < 1e-4
    program.ok("pull", f"{address}@{commit}", "--out", tmp_path / "pinned")
    program.ok("pull", address, "--out", tmp_path / "out")
    assert not [line for line in hub.lines() if "/resolve/" in line or "/large/" in line]
    assert content_of(tmp_path / "out") == content_of(entry)
    assert not (program.home / "cache" / "anas-zoo").exists()


def test_a_damaged_cache_is_repaired(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.push(entry, address).out.strip()
    program.ok("pull", address, "--out", tmp_path / "one")
    for name in ("model.safetensors", "manifest.json"):
        blob = cached(program, address, commit, name).resolve()
        blob.write_bytes(blob.read_bytes().replace(b"e", b"f", 1))
        done = program.run("pull", address, "--out", tmp_path / name)
        assert done.code == 0, done.err
        assert f"{name}" in done.err
        assert "; downloading it again" in done.err
        assert content_of(tmp_path / name) == content_of(entry)


def test_an_entry_whose_manifest_names_other_files(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    program.push(entry, address)
    repo = repository(hub, address)
    files = dict(repo.head.files)
    files["model.onnx"] = files["model.safetensors"]
    repo.branches["main"] = repo._add(repo.head.oid, "tampered", files)
    said = program.run("pull", address, "--out", tmp_path / "out").refusal
    assert said.startswith(f"{address}: ")
    assert "model.onnx was altered (size or SHA-256 differs)" in said
    del files["model.onnx"]
    repo.branches["main"] = repo._add(repo.head.oid, "lacking", files)
    assert "model.onnx is missing" in program.run("pull", address, "--out", tmp_path / "out").refusal
    assert list(tmp_path.iterdir()) == [entry]
    del files["manifest.json"]
    repo.branches["main"] = repo._add(repo.head.oid, "no entry", files)
    said = program.run("pull", address, "--out", tmp_path / "out").refusal
    assert "there is no manifest.json; is it an entry or a supernet of anas-zoo?" in said


def test_what_is_not_there(program: Program, address: str, entry: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = program.run("pull", address, "--out", out).refusal
    assert said.startswith(f"{address}: no such repository on http://127.0.0.1:")
    program.push(entry, address)
    said = program.run("pull", f"{address}@v9", "--out", out).refusal
    assert "the repository has no revision 'v9'" in said
    said = program.run("pull", f"{address}@{'0' * 40}", "--out", out).refusal
    assert "0" * 40 in said
    assert not out.exists()


@pytest.mark.slow
def test_a_private_entry_needs_a_login(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    program.ok("publish", entry, "--to", address, "--private")
    program.ok("pull", address, "--out", tmp_path / "mine")
    home = tmp_path / "stranger"
    with Program(environment(hub, home, HF_TOKEN=""), home) as stranger:
        said = stranger.run("pull", address, "--out", tmp_path / "out").refusal
        assert "no such repository" in said
        assert "if it is private, log in with: hf auth login" in said
        said = stranger.push(SHELF, f"{address}-mine").refusal
        assert "the Hub asks for a valid token" in said
        assert "hf auth login" in said


@pytest.mark.slow
def test_offline(hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path) -> None:
    commit = program.push(entry, address).out.strip()
    program.ok("pull", address, "--out", tmp_path / "online")
    hub.seen.clear()
    with Program(environment(hub, program.home, HF_HUB_OFFLINE="1"), program.home) as offline:
        assert offline.ok("pull", address, "--out", tmp_path / "offline")["commit"] == commit
        assert content_of(tmp_path / "offline") == content_of(entry)
        out = tmp_path / "out"
        said = offline.run("pull", f"{address}-never", "--out", out).refusal
        assert "offline mode is on and the cache lacks it" in said
        assert "unset HF_HUB_OFFLINE" in said
        assert "needs the Hub; unset HF_HUB_OFFLINE" in offline.run("publish", entry, "--to", address).refusal
        cached(program, address, commit, "model.onnx").unlink()
        said = offline.run("pull", address, "--out", out).refusal
        assert "model.onnx" in said
        assert "unset HF_HUB_OFFLINE" in said
        blob = cached(program, address, commit, "config.json").resolve()
        cached(program, address, commit, "model.onnx").symlink_to(blob)
        assert "model.onnx was altered" in offline.run("pull", address, "--out", out).refusal
        assert not out.exists()
    assert hub.seen == []
