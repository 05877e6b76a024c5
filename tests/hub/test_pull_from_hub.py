from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_program import SHELF, Program, cached, content_of, environment, repository
from hub_server import Hub

from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]


def test_a_pull_is_whole_pinned_and_recorded(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.ok("publish", entry, "--to", address)["commit"]
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
    assert program.ok("verify", out)["name"] == "digits_s"
    # What was pulled is an entry like any other, and its record stays here.
    again = program.ok("publish", out, "--to", address)
    assert (again["commit"], again["changed"]) == (commit, [])


def test_an_old_commit_and_a_branch(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    old, before = program.ok("publish", entry, "--to", address)["commit"], content_of(entry)
    (entry / "README.md").write_text((entry / "README.md").read_text() + "\nNew.\n")
    write_manifest(entry)
    new = program.ok("publish", entry, "--to", address)["commit"]
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


def test_what_is_in_the_cache_is_not_downloaded_again(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.ok("publish", entry, "--to", address)["commit"]
    program.ok("pull", address, "--out", tmp_path / "one")
    hub.seen.clear()
    program.ok("pull", f"{address}@{commit}", "--out", tmp_path / "two")
    assert hub.seen == []
    program.ok("pull", address, "--out", tmp_path / "three")
    assert not hub.lines("/resolve/")
    assert not hub.lines("/large/")


def test_a_damaged_cache_is_mended(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.ok("publish", entry, "--to", address)["commit"]
    program.ok("pull", address, "--out", tmp_path / "one")
    for name in ("model.safetensors", "manifest.json"):
        blob = cached(program, address, commit, name).resolve()
        blob.write_bytes(blob.read_bytes().replace(b"e", b"f", 1))
    done = program.run("pull", address, "--out", tmp_path / "two")
    assert done.code == 0, done.err
    assert "model.safetensors in the cache is not what was published" in done.err
    assert content_of(tmp_path / "two") == content_of(entry)


def test_an_entry_whose_manifest_names_other_files(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    program.push(entry, address)
    repo = repository(hub, address)
    files = dict(repo.head.files)
    files["model.onnx"] = files["model.safetensors"]
    repo.branches["main"] = repo._add(repo.head.oid, "tampered", files)
    said = program.run("pull", address, "--out", tmp_path / "out").refusal
    assert "model.onnx as the Hub sends it is not the file that was published" in said
    del files["model.onnx"]
    repo.branches["main"] = repo._add(repo.head.oid, "lacking", files)
    said = program.run("pull", address, "--out", tmp_path / "out").refusal
    assert "manifest.json lists model.onnx, which the Hub does not have there" in said
    assert list(tmp_path.iterdir()) == [entry]
    del files["manifest.json"]
    repo.branches["main"] = repo._add(repo.head.oid, "no entry", files)
    assert "manifest.json" in program.run("pull", address, "--out", tmp_path / "out").refusal


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
        program.ok("publish", entry, "--to", f"{address}-open")
        said = stranger.push(SHELF, f"{address}-mine").refusal
        assert "nobody is logged in" in said
        assert "hf auth login" in said
        stranger.ok("pull", f"{address}-open", "--out", tmp_path / "open")
    assert content_of(tmp_path / "open") == content_of(entry)


def test_commands_take_an_entry_from_the_hub(hub: Hub, program: Program, address: str, entry: Path) -> None:
    program.push(entry, address)
    assert program.ok("verify", address)["torch_max_abs_diff"] < 1e-4
    assert program.ok("show", f"hf-hub:{address.removeprefix('hf://')}")["summary"]["name"] == "digits_s"
    hub.seen.clear()
    program.ok("verify", address)
    assert not hub.lines("/resolve/")


@pytest.mark.slow
def test_offline(hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path) -> None:
    commit = program.ok("publish", entry, "--to", address)["commit"]
    program.ok("publish", entry, "--to", f"{address}-other")
    program.ok("pull", address, "--out", tmp_path / "online")
    hub.seen.clear()
    with Program(environment(hub, program.home, HF_HUB_OFFLINE="1"), program.home) as offline:
        pulled = offline.ok("pull", address, "--out", tmp_path / "offline")
        assert pulled["commit"] == commit
        assert content_of(tmp_path / "offline") == content_of(entry)
        out = tmp_path / "out"
        said = offline.run("pull", f"{address}-never", "--out", out).refusal
        assert "offline mode is on and the cache does not have it; unset HF_HUB_OFFLINE" in said
        assert "needs the Hub; unset HF_HUB_OFFLINE" in offline.run("publish", entry, "--to", address).refusal
        cached(program, address, commit, "model.onnx").unlink()
        said = offline.run("pull", address, "--out", out).refusal
        assert "the cache lacks model.onnx; unset HF_HUB_OFFLINE" in said
        blob = cached(program, address, commit, "config.json").resolve()
        cached(program, address, commit, "model.onnx").symlink_to(blob)
        said = offline.run("pull", address, "--out", out).refusal
        assert "model.onnx as it lies in the cache" in said
        assert not out.exists()
    assert hub.seen == []
