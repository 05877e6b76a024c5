"""An organisation's entries, indexed through the loopback Hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hub_program import ROOT, Program, repository
from hub_server import Hub
from hub_store import StoredFile

from anas_zoo.entry import write_manifest

pytest_plugins = ["hub_fixtures"]


@pytest.fixture
def organisation(hub: Hub, program: Program, entry: Path, request: pytest.FixtureRequest) -> str:
    """The organisation of this test alone: an entry with weights, a config-only one, and something else."""
    name = f"hf://{request.node.name.replace('_', '-')}"
    program.push(entry, f"{name}/small")
    program.push(ROOT / "models" / "attentive_nas_a0", f"{name}/a0")
    program.push(entry, f"{name}/bert")
    repo = repository(hub, f"{name}/bert")
    repo.branches["main"] = repo._add(None, "another model", {"config.json": StoredFile.regular(b"{}")})
    hub.seen.clear()
    return name


def index(program: Program, organisation: str, out: Path) -> dict[str, object]:
    done = program.run("index", organisation, "--out", out)
    assert done.code == 0, done.err
    data: dict[str, object] = json.loads((out / "index.json").read_text())
    return data


def test_entries_are_read_from_three_files_at_one_commit(
    hub: Hub, program: Program, organisation: str, tmp_path: Path
) -> None:
    models = index(program, organisation, tmp_path / "page")["models"]
    assert isinstance(models, list)
    commits = {name: repository(hub, f"{organisation}/{name}").head.oid for name in ("small", "a0")}
    owner = organisation.removeprefix("hf://")
    assert {(m["name"], m["location"], m["commit"], m["has_weights"]) for m in models} == {
        ("digits_s", f"{owner}/small", commits["small"], True),
        ("attentive_nas_a0", f"{owner}/a0", commits["a0"], False),
    }
    files = {line.partition("?")[0].rpartition("/")[2] for line in hub.lines("/resolve/")}
    assert files <= {"manifest.json", "config.json", "report.json"}
    assert not hub.lines("/large/")
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert f"hf-hub:{owner}/small@{commits['small']}" in page


def test_an_unsound_entry_is_left_out_and_named(
    hub: Hub, program: Program, organisation: str, tmp_path: Path
) -> None:
    repo = repository(hub, f"{organisation}/small")
    files = {**repo.head.files, "report.json": StoredFile.regular(b"{}")}
    repo.branches["main"] = repo._add(repo.head.oid, "spoilt", files)
    found = index(program, organisation, tmp_path / "page")
    assert isinstance(found["models"], list)
    assert [m["name"] for m in found["models"]] == ["attentive_nas_a0"]
    assert isinstance(found["left_out"], dict)
    (reason,) = found["left_out"].values()
    assert "report.json was altered (size or SHA-256 differs)" in reason


def test_an_organisation_without_entries(program: Program, tmp_path: Path) -> None:
    said = program.run("index", "hf://nobody-here", "--out", tmp_path / "page").refusal
    assert "hf://nobody-here has no model with a manifest.json; publish one: anas publish DRAFT" in said


def test_one_name_of_two_architectures_is_refused(
    program: Program, organisation: str, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(ROOT / "models" / "digits_m", tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    config["anas"]["name"] = "digits_s"
    (other / "config.json").write_text(json.dumps(config))
    write_manifest(other)
    program.push(other, f"{organisation}/other")
    said = program.run("index", organisation, "--out", tmp_path / "page").refusal
    assert "'digits_s' names two architectures" in said
