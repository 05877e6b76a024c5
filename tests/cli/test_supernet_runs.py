"""What the commands say that begin a run from a supernet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import refused, succeeded
from letters import write_letters
from supernet_folders import write_supernet

LABELS = [*"0123456", "7", "A", "L"]
QUICK = ["--algorithm", "random", "--evaluations", "3", "--device", "cpu"]


@pytest.fixture
def supernet(tmp_path: Path) -> Path:
    write_supernet(tmp_path / "net", label_names=LABELS, lineage=[])
    return tmp_path / "net"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four letters, of which the supernet knows three."""
    return write_letters(tmp_path / "images", per_class=12)


def test_a_supernet_is_searched_on_a_users_images(
    supernet: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ("search", supernet, "--data", images, "--out", out)
    said = refused(capsys, *words)
    assert "1 of the 4 classes of" in said
    assert "'O'; rename or remove their folders, or give it a new head for all of them: " in said
    assert f"anas train --init {supernet} --data {images} --out RUN" in said
    assert not out.exists()
    for path in (images / "O").iterdir():
        path.unlink()
    (images / "O").rmdir()
    found = json.loads(succeeded(capsys, *words, *QUICK, "--max-mflops", "2", "--json"))
    assert found["folder"] == str(out / "search")
    assert found["answers"][0]["extract"].startswith(f"anas extract {out} --arch ")
    assert "holds a finished search; resume it" in refused(capsys, *words, *QUICK)
    again = json.loads(succeeded(capsys, "search", out, "--resume", "--json"))
    assert again["front"] == found["front"]
    assert f"extracted {out}/subnets/digits_0" in succeeded(capsys, "extract", out, "--max-mflops", "2")


def test_missing_words_are_named(
    supernet: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert "name its folder: --out RUN" in refused(capsys, "search", supernet, "--data", images)
    assert "give --data DIR, a folder" in refused(capsys, "search", supernet, "--out", out)
    assert "neither the folder of a run" in refused(capsys, "search", images)
    words = ("search", supernet, "--data", images, "--out", out)
    assert "has its own classes" in refused(capsys, *words, "--num-classes", "3")
    said = refused(capsys, "train", "--recipe", "digits", "--init", supernet, "--out", out)
    assert "the space is that of init" in said
    assert "has no images of its own" in refused(capsys, "train", "--init", supernet, "--out", out)
    said = refused(capsys, "train", "--init", images, "--data", images, "--out", out)
    assert "has no supernet.json; give the folder of a supernet or of a run, or hf-hub:org/name" in said
    said = refused(capsys, "run", "--recipe", "pretrained", "--data", images, "--out", out)
    assert "has no search space of its own; give --init SUPERNET" in said
    assert not out.exists()
