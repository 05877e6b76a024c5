"""A run finds its images from any folder, and can be told where they are now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from letters import write_letters
from tiny_recipe import tiny_recipe

from anas_zoo.core.errors import DataError, OutputError
from anas_zoo.data.sources import source_seen_from
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.run_folder import is_there


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images, which the test begins in."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_letters(folder / "images", per_class=6)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(folder)
    return folder


def elsewhere(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project.parent / "elsewhere")
    return project / "run"


def begin(data: str = "images", **changes: object) -> Recipe:
    recipe = tiny_recipe(data=data, **changes)
    Run.start(Path("run"), recipe)
    return recipe


def test_a_relative_place_is_found_from_any_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = begin()
    split = (project / "run" / "split.json").read_bytes()
    assert json.loads(split)["source"] == "images"  # as it was typed: what identifies a run stays
    folder = elsewhere(project, monkeypatch)
    run = Run.open(folder)
    assert run.recipe == recipe
    assert run.split.images == len(run.source.labels)
    assert Run.start(folder, recipe).split == run.split  # the same words mean what they meant
    write_letters(Path("images"), per_class=7)  # others of that name
    assert Run.start(folder, recipe).split == run.split
    assert (project / "run" / "split.json").read_bytes() == split


def test_moved_images_are_told_of_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = begin()
    split = Run.open(Path("run")).split
    moved = project.parent / "elsewhere" / "letters"
    shutil.move(project / "images", moved)
    with pytest.raises(DataError, match=r"no longer at .*/images; say where they are now: data='DIR'"):
        _ = Run.open(Path("run")).split
    folder = elsewhere(project, monkeypatch)
    assert Run.open(folder, "letters").split == split
    assert json.loads((folder / "run.json").read_text())["images"] == str(moved)
    assert Run.open(folder).recipe == recipe
    monkeypatch.chdir("/")
    assert Run.open(folder).split == split
    # A recipe that names the new place is no other recipe.
    (folder / "training").mkdir()
    assert Run.start(folder, tiny_recipe(data=str(moved))).split == split
    with pytest.raises(OutputError, match="another recipe"):
        Run.start(folder, tiny_recipe(data=str(moved), seed=1))


def test_other_images_are_refused_and_nothing_is_remembered(project: Path) -> None:
    begin()
    record = Path("run/run.json").read_bytes()
    write_letters(Path("more"), per_class=7)
    shutil.copytree("images", "changed")
    with next(Path("changed/A").iterdir()).open("ab") as file:
        file.write(b"\0")
    for data, said in (
        ("more", r"more does not hold the images that run was split from \(28 now, 24 then\)"),
        ("changed", r"changed does not .* \(their names, sizes or classes differ\)"),
        ("none", "no data source 'none'"),
    ):
        with pytest.raises(DataError, match=said):
            Run.open(Path("run"), data)
    assert Path("run/run.json").read_bytes() == record


def test_a_run_of_before_reads_its_place_in_the_current_folder(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    record = json.loads(Path("run/run.json").read_text())
    del record["began_in"]
    Path("run/run.json").write_text(json.dumps(record))
    split = Run.open(Path("run")).split
    folder = elsewhere(project, monkeypatch)
    with pytest.raises(DataError, match="say where they are now"):
        _ = Run.open(folder).split
    assert Run.open(folder, "../project/images").split == split
    assert Run.open(folder).split == split


def test_a_project_that_moved_as_a_whole_is_found_from_within(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin()
    split = Run.open(Path("run")).split
    monkeypatch.chdir(project.parent)
    project.rename("renamed")
    monkeypatch.chdir("renamed")
    assert Run.open(Path("run")).split == split


def test_the_space_of_a_file_is_found_from_any_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import anas_zoo.space

    preset = Path(anas_zoo.space.__file__).parent / "presets" / "digits.yaml"
    shutil.copy(preset, "space.yaml")
    begin(space="space.yaml")
    folder = elsewhere(project, monkeypatch)
    assert Run.open(folder).space.name == "digits"
    assert Run.open(folder).recipe.space == "space.yaml"


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("digits", "digits"),
        ("images", "/p/images"),
        ("./digits", "/p/digits"),
        ("/data/x", "/data/x"),
        ("wds/shards", "wds//p/shards"),
        ("wds/train-{0000..0003}.tar", "wds//p/train-{0000..0003}.tar"),
        ("hfds/org/name", "hfds/org/name"),
    ],
)
def test_names_of_sources_from_anywhere(name: str, seen: str) -> None:
    assert source_seen_from(name, Path("/p")) == seen


@pytest.mark.parametrize("config", ["", ":small"])  # a configuration belongs to the folder before it
def test_a_dataset_in_a_folder_is_a_place_too(tmp_path: Path, config: str) -> None:
    (tmp_path / "letters").mkdir()
    seen = source_seen_from(f"hfds/letters{config}", tmp_path)
    assert seen == f"hfds/{tmp_path}/letters{config}"
    assert is_there(seen, Path("/"))
    (tmp_path / "letters").rename(tmp_path / "moved")
    assert not is_there(seen, tmp_path)  # what was a folder is never looked for on the Hub
    assert is_there(f"hfds/org/name{config}", tmp_path)
    assert source_seen_from(f"hfds/org/name{config}", tmp_path) == f"hfds/org/name{config}"
