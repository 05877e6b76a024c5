from __future__ import annotations

import sys
from pathlib import Path

import pytest
import two_supernets
from letters import LETTERS, write_letters
from supernet_folders import fresh_supernet, write_supernet

from anas_zoo.core.errors import ConfigError
from anas_zoo.searching import read_evaluations

LABELS = [*"012345", *LETTERS]


def command(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    words = [str(folder / "one"), str(folder / "two"), "--data", str(folder / "images")]
    monkeypatch.setattr(sys, "argv", ["two_supernets.py", *words, "--out", str(folder / "out"), *more])
    two_supernets.main()


def test_the_same_subnets_are_compared_and_a_stopped_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_letters(tmp_path / "images", per_class=12)
    for seed, name in enumerate(("one", "two")):
        write_supernet(tmp_path / name, fresh_supernet(seed), label_names=LABELS, lineage=[])
    command(tmp_path, monkeypatch, "--evaluations", "9")
    text = (tmp_path / "out" / "two_supernets.md").read_text()
    assert "9 subnets drawn uniformly" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["all", *two_supernets.THIRDS]
    assert [row.split("|")[2].strip() for row in rows[2:]] == ["9", "3", "3", "3"]
    archives = [tmp_path / "out" / name / "search" / "evaluations.jsonl" for name in ("one", "two")]
    first, second = (read_evaluations(archive) for archive in archives)
    assert [one.arch for one in first] == [one.arch for one in second]
    assert [one.top1_pct for one in first] != [one.top1_pct for one in second]
    before = [archive.read_bytes() for archive in archives]
    command(tmp_path, monkeypatch, "--evaluations", "9")
    assert [archive.read_bytes() for archive in archives] == before
    assert (tmp_path / "out" / "two_supernets.md").read_text() == text


def test_supernets_without_common_subnets_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "b.jsonl").write_text("")
    with pytest.raises(ConfigError, match="are both supernets of one space"):
        two_supernets.paired(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
