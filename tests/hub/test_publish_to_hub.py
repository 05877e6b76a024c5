from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_api import READ_TOKEN
from hub_program import Program, content_of, environment, repository, visible
from hub_server import Hub
from hub_store import StoredFile

from anas_zoo.core.errors import HubError
from anas_zoo.entry import write_manifest
from anas_zoo.zoo.hub import HubAddress

pytest_plugins = ["hub_fixtures"]


def change(entry: Path, name: str, text: str) -> None:
    """A new version of a published entry: another card, and the manifest that goes with it."""
    (entry / name).write_text((entry / name).read_text() + text)
    write_manifest(entry)


def test_an_entry_is_one_commit_and_again_none(hub: Hub, program: Program, address: str, entry: Path) -> None:
    done = program.ok("publish", entry, "--to", address)
    repo = repository(hub, address)
    assert len(repo.history()) == 2  # the Hub's own first one, and this
    assert repo.history()[0].startswith("Publish digits_s (architecture ")
    assert visible(hub, address) == content_of(entry)
    assert done == {
        "address": f"{address}@main",
        "commit": repo.head.oid,
        "url": f"{hub.url}/{address.removeprefix('hf://')}/commit/{repo.head.oid}",
        "changed": sorted(content_of(entry)),
        "deleted": [],
    }
    hub.seen.clear()
    again = program.run("publish", entry, "--to", address)
    assert again.code == 0
    assert again.out.startswith(f"nothing to publish: {address}@main already holds exactly this\n")
    assert done["commit"] in again.out
    assert len(repo.history()) == 2
    assert not [line for line in hub.lines() if line.startswith(("POST", "PUT"))]


def test_a_new_version_replaces_and_removes_in_one_commit(
    hub: Hub, program: Program, address: str, entry: Path
) -> None:
    (entry / "NOTES.txt").write_text("in the first version only")
    write_manifest(entry)
    program.push(entry, address)
    repo = repository(hub, address)
    # Somebody adds a picture that belongs to no entry.
    picture = StoredFile.regular(b"a picture")
    repo.branches["main"] = repo._add(repo.head.oid, "picture", {**repo.head.files, "front.png": picture})
    (entry / "NOTES.txt").unlink()
    change(entry, "README.md", "\nA second edition.\n")
    hub.seen.clear()
    done = program.ok("publish", entry, "--to", address)
    assert (done["changed"], done["deleted"]) == (["README.md", "manifest.json"], ["NOTES.txt"])
    assert len(repo.history()) == 4
    assert visible(hub, address) == {**content_of(entry), "front.png": b"a picture"}
    assert not hub.lines("/upload/")


def test_a_branch_leaves_main_alone(hub: Hub, program: Program, address: str, entry: Path) -> None:
    first = program.push(entry, address).out.strip()
    change(entry, "README.md", "\nOn trial.\n")
    second = program.push(entry, f"{address}@trial").out.strip()
    repo = repository(hub, address)
    assert (repo.branches["main"], repo.branches["trial"]) == (first, second)
    assert visible(hub, address, "trial") == content_of(entry)
    said = program.push(entry, f"{address}@{first}").refusal
    assert f"a commit does not change; give a branch, as in {address}@main" in said


def test_private(hub: Hub, program: Program, address: str, entry: Path) -> None:
    program.ok("publish", entry, "--to", address, "--private")
    assert repository(hub, address).private
    program.push(entry, f"{address}-open")
    change(entry, "README.md", "\nSecret.\n")
    before = repository(hub, f"{address}-open").head
    said = program.run("publish", entry, "--to", f"{address}-open", "--private").refusal
    assert "exists and is public; make it private in its settings" in said
    assert said.endswith("or leave out --private")
    assert repository(hub, f"{address}-open").head == before
    said = program.run("publish", entry, "--to", entry.parent / "copy", "--private").refusal
    assert "--private is for repositories of the Hub" in said


def test_a_dry_run_shows_everything_and_asks_nobody(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    shown = program.run("publish", entry, "--to", address, "--dry-run", "--private")
    assert shown.code == 0
    assert f"would publish digits_s to {address} (private), under Apache-2.0:" in shown.out
    for name, content in content_of(entry).items():
        assert f"{name}" in shown.out
        assert f"{len(content):,} bytes" in shown.out
    assert (entry / "README.md").read_text() in shown.out
    data = program.ok("publish", entry, "--to", tmp_path / "new", "--dry-run")
    assert data["files"] == {name: len(content) for name, content in content_of(entry).items()}
    assert data["card"] == (entry / "README.md").read_text()
    assert hub.seen == []
    assert not (tmp_path / "new").exists()


def test_something_else_is_not_overwritten(hub: Hub, program: Program, address: str, entry: Path) -> None:
    program.push(entry, address)
    repo = repository(hub, address)
    other = {"config.json": StoredFile.regular(b"{}"), "weights.txt": StoredFile.regular(b"of another model")}
    repo.branches["main"] = repo._add(None, "another model", other)
    said = program.push(entry, address).refusal
    assert "holds config.json, weights.txt but no manifest.json, so it is not an entry" in said
    assert repo.head.message == "another model"


AUTHORS = {"name": "the authors' checkpoint", "sha256": "0" * 64, "licence": "CC-BY-NC-4.0"}


def test_a_gate_that_refuses_comes_before_the_hub(
    hub: Hub, program: Program, address: str, entry: Path
) -> None:
    path = entry / "config.json"
    data = json.loads(path.read_text())
    data["anas"]["weights"]["lineage"] = [AUTHORS]
    path.write_text(json.dumps(data))
    write_manifest(entry)
    said = program.run("publish", entry, "--to", address).refusal
    assert "is under CC-BY-NC-4.0, so they cannot be under Apache-2.0 without" in said
    (entry / "golden.safetensors").unlink()
    said = program.run("publish", entry, "--to", address).refusal
    assert "golden.safetensors is missing" in said
    assert hub.seen == []


@pytest.mark.parametrize(
    "bad",
    [
        "hf://digits",
        "hf://a/b/c",
        "hf://org/na me",
        "hf://org/name@../x",
        "hf://-a/b",
        "hf://a/b--c",
        "org/a",
    ],
)
def test_what_is_not_a_valid_address(bad: str) -> None:
    with pytest.raises(HubError, match="hf://org/name"):
        HubAddress.parse(bad)


@pytest.mark.slow
def test_who_may_not_write(hub: Hub, address: str, entry: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Program(environment(hub, home, HF_TOKEN=READ_TOKEN), home) as reader:
        said = reader.push(entry, address)
    assert "not allowed (you don't have the rights to write here)" in said.refusal
    assert "use a token that may do this: hf auth login" in said.refusal
    assert READ_TOKEN not in said.err
    assert hub.store.repositories.keys().isdisjoint({address.removeprefix("hf://")})
