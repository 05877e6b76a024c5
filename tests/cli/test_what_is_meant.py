"""Errors name the folder, the command and the option that is meant; what they print can be pasted."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from command_line import refused, succeeded
from searching_digits import make_run

from anas_zoo.cli import main


@pytest.fixture
def run(tmp_path: Path, draft: Path, entry: Path) -> Path:
    """As a demo leaves it, in a folder whose name a shell would take apart."""
    folder = tmp_path / "my run #1"
    shutil.copytree(draft, folder / "subnets" / "tiny")
    shutil.copytree(entry, folder / "zoo" / "tiny")
    (folder / "run.json").write_text("{}")
    return folder


@pytest.mark.parametrize("words", [["show"], ["predict", "i.png"], ["verify"], ["profile"], ["bench"]])
def test_a_run_is_no_entry_but_its_entries_are_named(
    words: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *more = words
    for folder in (run, run / "zoo"):
        said = refused(capsys, command, folder, *more)
        assert said.endswith(
            f"{folder} is not an entry, but these are: {shlex.quote(str(run / 'zoo' / 'tiny'))}"
        )
    shutil.rmtree(run / "zoo")
    assert refused(capsys, command, run, *more).endswith(shlex.quote(str(run / "subnets" / "tiny")))
    shutil.rmtree(run / "subnets")
    said = refused(capsys, command, run, *more)
    assert said.endswith(f"a run without subnets yet; make some: anas extract {shlex.quote(str(run))}")


def test_a_folder_in_a_run_is_no_run_but_its_run_is_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (run / "zoo" / "tiny", run / "zoo"):
        for command in ("search", "extract"):
            assert refused(capsys, command, folder).endswith(f"give its run, {shlex.quote(str(run))}")


def test_a_draft_is_published_before_it_is_verified(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = run / "subnets" / "tiny"
    said = refused(capsys, "verify", draft)
    assert said.endswith(f"so publish it first: anas publish {shlex.quote(str(draft))} --to DIR")


def test_an_entry_of_a_run_is_exported_by_its_draft(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "export", run / "zoo" / "tiny")
    command = f"anas export {shlex.quote(str(run / 'subnets' / 'tiny'))}"
    assert "give --out FOLDER" in said
    assert said.endswith(command)
    (run / "run.json").unlink()  # so that the draft is not taken for one of a real run
    assert main(shlex.split(command)[1:]) == 0


def test_publishing_twice(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft, out = run / "subnets" / "tiny", tmp_path / "out 1"
    succeeded(capsys, "publish", draft, "--to", out)
    said = refused(capsys, "publish", draft, "--to", out)
    assert said == (
        f"{out} already holds tiny, published with these weights; check it: anas verify "
        f"{shlex.quote(str(out))}; or give another --to"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("keep")
    assert "give another --to, or remove it first" in refused(
        capsys, "publish", draft, "--to", tmp_path / "other"
    )


def test_a_folder_that_holds_a_run_is_no_catalog(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"{run} holds no entry itself; give {shlex.quote(str(run / 'zoo'))}, which does"
    assert refused(capsys, "list", "--in", run) == said
    assert refused(capsys, "index", run, "--out", tmp_path / "out") == said


def test_a_file_is_no_entry(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "show", image).startswith(f"{image} is a file; give an entry's folder")


def test_extracting_twice_offers_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = make_run(tmp_path / "a run"), tmp_path / "a search"
    succeeded(capsys, "search", run, "--evaluations", "8")
    text = succeeded(capsys, "search", run, "--evaluations", "8", "--seed", "5", "--out", other, "--json")
    found = {item["arch_id"] for item in json.loads(text)["front"]}
    succeeded(capsys, "extract", run, "--max-mflops", "0.1")
    assert refused(capsys, "extract", run, "--max-mflops", "0.1").startswith(
        f"{run / 'subnets'} already holds digits_0; add others by id: anas extract {shlex.quote(str(run))} "
        "--arch ID; or extract anew after: rm -r "
    )
    said = refused(capsys, "extract", run, "--search", other, "--max-mflops", "100")
    command = said.split("add these by id: ")[1].split("; or")[0]
    assert command.startswith(
        f"anas extract {shlex.quote(str(run))} --search {shlex.quote(str(other))} --arch"
    )
    assert set(shlex.split(command)[6::2]) <= found
    succeeded(capsys, *shlex.split(command)[1:])
    assert len(list((run / "subnets").glob("*/config.json"))) == 2
