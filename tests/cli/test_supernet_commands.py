"""show, verify, publish and pull take a supernet, also that of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import refused, succeeded
from supernet_folders import write_old_supernet, write_supernet


@pytest.fixture
def published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    write_supernet(tmp_path / "draft", licence=None)
    said = succeeded(
        capsys, "publish", tmp_path / "draft", "--to", tmp_path / "digits", "--licence", "Apache-2.0"
    )
    assert said.startswith(f"published {tmp_path / 'digits'}\n")
    return tmp_path / "digits"


def test_shown(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = succeeded(capsys, "show", published)
    for part in (
        f"digits, a supernet  ({published})",
        "24,576 architectures",
        "10: digit 0, digit 1",
        "Apache-2.0",
        "made from older weights",
        "search_split_top1_pct.largest   95.0",
        f"anas search {published} --data DIR --out RUN",
        f'anas_zoo.load_supernet("{published}")',
    ):
        assert part in said
    data = json.loads(succeeded(capsys, "show", published, "--json"))
    assert data["config"] == json.loads((published / "supernet.json").read_text())
    assert data["summary"]["resolution"] == [6, 12]
    assert set(data["files"]) == {path.name for path in published.iterdir()}


def test_verified_and_pulled(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = succeeded(capsys, "pull", published, "--out", tmp_path / "copy")
    assert "3 files" in said
    said = succeeded(capsys, "verify", tmp_path / "copy")
    assert said.endswith("  the smallest and the largest subnet give finite logits\n")
    (tmp_path / "copy" / "README.md").write_text("other")
    said = refused(capsys, "verify", tmp_path / "copy")
    assert "README.md was altered" in said


def test_a_dry_run_shows_files_and_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_supernet(tmp_path / "draft")
    said = succeeded(capsys, "publish", tmp_path / "draft", "--to", tmp_path / "out", "--dry-run")
    assert f"would publish digits to {tmp_path / 'out'}, under Apache-2.0:" in said
    assert "anas-supernet" in said
    assert not (tmp_path / "out").exists()


def test_that_of_a_run_is_named(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    commands: list[list[str | Path]] = [
        ["show", run],
        ["verify", run],
        ["publish", run, "--to", tmp_path / "out"],
    ]
    for command in commands:
        assert refused(capsys, *command).endswith(f"its supernet is {run / 'supernet'}")
    said = refused(capsys, "verify", run / "supernet")
    assert said.endswith(f"so publish it first: anas publish {run / 'supernet'} --to DIR")
    succeeded(capsys, "publish", run / "supernet", "--to", tmp_path / "out")
    assert "made from" not in succeeded(capsys, "show", tmp_path / "out")
    shutil.rmtree(run / "supernet")
    write_old_supernet(run / "supernet")
    assert "as version 0.2 wrote it" in refused(capsys, "show", run / "supernet")
    assert "as version 0.2 wrote it" in refused(capsys, "publish", run / "supernet", "--to", tmp_path / "two")
    assert not (tmp_path / "two").exists()
