"""What anas run and anas demo say before they begin, and of a run that is finished."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import refused
from letters import write_letters

from anas_zoo.pipeline import Recipe, Run


def test_a_run_needs_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "run", "--out", tmp_path / "run")
    assert "which images? Give --data DIR, a folder with one sub-folder of images per class" in said
    assert "nothing" in refused(capsys, "run", "--data", tmp_path / "nothing", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, out = write_letters(tmp_path / "images", per_class=12), tmp_path / "run"
    run = Run.start(out, Recipe.load("own_images", data=str(images)))
    run.summary_file.write_text("{}")
    run.zoo_folder.mkdir()
    for words in ([], ["--data", images], ["--licence", "MIT"]):
        said = refused(capsys, "run", "--out", out, *words)
        assert f"{out} already holds this run, finished; see {out}/zoo; give another --out" in said
    said = refused(capsys, "run", "--out", out, "--seed", "9")
    assert "holds a run of another recipe (seed: 0 there, 9 here)" in said
    assert "finished" in refused(capsys, "demo", "--out", out)


def test_a_class_of_one_image_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_letters(tmp_path / "images", per_class=12)
    for path in sorted((images / "O").iterdir())[1:]:
        path.unlink()
    assert "'O'" in refused(capsys, "run", "--data", images, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
