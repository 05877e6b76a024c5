from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub_api import READ_TOKEN
from hub_program import Program, content_of, environment, repository, visible
from hub_server import Hub
from hub_store import StoredFile

from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]


def change(entry: Path, name: str, text: str) -> None:
    """A new version of a published entry: another card, and the manifest that goes with it."""
    (entry / name).write_text((entry / name).read_text() + text)
    write_manifest(entry)


def test_an_entry_is_one_commit(hub: Hub, program: Program, address: str, entry: Path) -> None:
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


def test_large_files_go_to_another_server_without_the_token(tmp_path: Path, entry: Path) -> None:
    """On a Hub that has none of them yet; one that knows them is not sent them again."""
    home = tmp_path / "home"
    with Hub() as hub, Program(environment(hub, home), home) as program:
        program.ok("publish", entry, "--to", "hf://org/fresh")
        assert [seen for seen in hub.seen if seen.line.startswith("PUT /upload/")]
        assert not [seen for seen in hub.seen if seen.authorised and "/upload/" in seen.line]


def test_publishing_it_again_changes_nothing(hub: Hub, program: Program, address: str, entry: Path) -> None:
    first = program.ok("publish", entry, "--to", address)
    hub.seen.clear()
    again = program.run("publish", entry, "--to", address)
    assert again.code == 0
    assert again.out.startswith(f"nothing to publish: {address}@main holds exactly this entry\n")
    assert first["commit"] in again.out
    assert len(repository(hub, address).history()) == 2
    assert not [line for line in hub.lines() if line.startswith(("POST", "PUT"))]


def test_a_new_version_replaces_and_removes_in_one_commit(
    hub: Hub, program: Program, address: str, entry: Path
) -> None:
    (entry / "NOTES.txt").write_text("in the first version only")
    write_manifest(entry)
    program.ok("publish", entry, "--to", address)
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
    first = program.ok("publish", entry, "--to", address)
    change(entry, "README.md", "\nOn trial.\n")
    done = program.ok("publish", entry, "--to", f"{address}@trial")
    repo = repository(hub, address)
    assert (repo.branches["main"], repo.branches["trial"]) == (first["commit"], done["commit"])
    assert visible(hub, address, "trial") == content_of(entry)
    said = program.push(entry, f"{address}@{first['commit']}").refusal
    assert f"a commit does not change; give a branch, as in {address}@main" in said


def test_private(hub: Hub, program: Program, address: str, entry: Path) -> None:
    program.ok("publish", entry, "--to", address, "--private")
    assert repository(hub, address).private
    program.ok("publish", entry, "--to", f"{address}-open")
    change(entry, "README.md", "\nSecret.\n")
    before = repository(hub, f"{address}-open").head
    said = program.run("publish", entry, "--to", f"{address}-open", "--private").refusal
    assert "exists and is public; make it private in its settings" in said
    assert repository(hub, f"{address}-open").head == before
    assert (
        "--private is for repositories of the Hub"
        in program.run("publish", entry, "--to", entry.parent / "copy", "--private").refusal
    )


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
    program.ok("publish", entry, "--to", address)
    repo = repository(hub, address)
    other = {"config.json": StoredFile.regular(b"{}"), "weights.txt": StoredFile.regular(b"of another model")}
    repo.branches["main"] = repo._add(None, "another model", other)
    said = program.run("publish", entry, "--to", address).refusal
    assert (
        "holds config.json, weights.txt but no manifest.json, so it is no entry and is not overwritten"
        in said
    )
    assert repo.head.message == "another model"


def edit_config(entry: Path, **weights: object) -> None:
    """Say something else of the weights, with hashes that agree."""
    path = entry / "config.json"
    data = json.loads(path.read_text())
    data["anas"]["weights"] |= weights
    data["pretrained_cfg"]["license"] = str(data["anas"]["weights"]["licence"]).lower()
    path.write_text(json.dumps(data))
    write_manifest(entry)


AUTHORS = {"name": "the authors' checkpoint", "sha256": "0" * 64, "licence": "CC-BY-NC-4.0"}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"licence": "unknown"}, "gate 'licence'.*the weights are under 'unknown'"),
        (
            {"source": "the authors' supernet checkpoint, imported by anas-zoo; calibrated"},
            "under CC-BY-NC-4.0",
        ),
        ({"lineage": [AUTHORS]}, "is under CC-BY-NC-4.0, so they cannot be under Apache-2.0 without"),
        ({"licence": "MIT"}, "README.md states another licence than config.json"),
    ],
)
def test_a_licence_that_cannot_be(
    weights: dict[str, object], said: str, hub: Hub, program: Program, address: str, entry: Path
) -> None:
    edit_config(entry, **weights)
    refusal = program.run("publish", entry, "--to", address).refusal
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(refusal)
    assert hub.seen == []


def test_an_explicit_lineage_entry_permits_another_licence(
    hub: Hub, program: Program, address: str, entry: Path
) -> None:
    edit_config(entry, lineage=[AUTHORS | {"permission": "the authors, by letter"}])
    program.ok("publish", entry, "--to", address)
    assert visible(hub, address) == content_of(entry)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda entry: (entry / "model.onnx").write_bytes(b"none"), "model.onnx was altered"),
        (lambda entry: (entry / "stray.txt").write_text("x"), "stray.txt is not in the manifest"),
        (lambda entry: (entry / "golden.safetensors").unlink(), "golden.safetensors is missing"),
        (lambda entry: (entry / "report.json").unlink(), "report.json is missing"),
    ],
)
def test_an_entry_that_is_not_whole(
    damage: object, said: str, hub: Hub, program: Program, address: str, entry: Path
) -> None:
    assert callable(damage)
    damage(entry)
    assert said in program.run("publish", entry, "--to", address).refusal
    assert hub.seen == []


def test_addresses(program: Program, entry: Path) -> None:
    for bad in (
        "hf://digits",
        "hf://a/b/c",
        "hf://org/na me",
        "hf://org/name@../x",
        "hf://-a/b",
        "hf://a/b--c",
    ):
        assert "hf://org/name" in program.run("publish", entry, "--to", bad).refusal


def test_who_may_not_write(hub: Hub, address: str, entry: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Program(environment(hub, home, HF_TOKEN=READ_TOKEN), home) as reader:
        said = reader.push(entry, address)
    assert "not allowed (you don't have the rights to write here)" in said.refusal
    assert "use a token that may write for org: hf auth login" in said.refusal
    assert READ_TOKEN not in said.err
    assert hub.store.repositories.keys().isdisjoint({address.removeprefix("hf://")})
