"""A search that is killed at any moment and resumed ends with exactly what an uninterrupted one has."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import sys
from pathlib import Path

import pytest
import searching
import torch
from killing import exit_codes, free_port, kill_at_random

from anas_zoo.core.errors import OutputError, SearchError
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.search_stage import search_stage

CONTEXT = multiprocessing.get_context("forkserver")
# The slow imports.
CONTEXT.set_forkserver_preload(
    [
        *("anas_zoo.pipeline.search", "anas_zoo.searching.surrogate", "anas_zoo.searching.nsga2"),
        *("matplotlib.figure", "plotly.graph_objects", "sklearn.ensemble", "sklearn.gaussian_process"),
    ]
)
FILES = ["search.json", "evaluations.jsonl", "front.json", "front.html"]


def run(folder: Path, point: str = "") -> int:
    """Exit code of a process that searches in ``folder``."""
    return exit_codes(CONTEXT, searching.run_search, (folder, point))[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "search" / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    searching.make_run(folder)
    assert run(folder) == 0
    return folder


@pytest.fixture
def fresh(reference: Path, tmp_path: Path) -> Path:
    """The same run before its search; the folder is called the same, since pages name it."""
    shutil.copytree(reference, tmp_path / "run", ignore=shutil.ignore_patterns("search"))
    return tmp_path / "run"


POINTS = [
    ["after 2", "within 3", "before 1"],  # within a round, and within a line
    ["after 14"],  # everything evaluated, nothing shown
    ["replace front.json"],
]


@pytest.mark.slow
@pytest.mark.parametrize("points", POINTS, ids="+".join)
def test_killed_and_resumed_is_the_same(fresh: Path, reference: Path, points: list[str]) -> None:
    for point in points:
        assert run(fresh, point) == -signal.SIGKILL
        assert not (fresh / "search" / "front.json").exists()
    assert run(fresh) == 0
    found, expected = contents(fresh), contents(reference)
    for name in FILES[:3]:
        assert found[name] == expected[name], name
    assert len(found["evaluations.jsonl"].splitlines()) == 14
    left = {path.name for path in (fresh / "search").iterdir()}
    assert left >= {*FILES, "front.png"}


@pytest.mark.slow
def test_two_processes_find_what_one_finds(fresh: Path, reference: Path) -> None:
    port = free_port()
    calls = [(fresh, rank, 2, port) for rank in range(2)]
    assert exit_codes(CONTEXT, searching.search_together, *calls) == [0, 0]
    found, expected = contents(fresh), contents(reference)
    for name in FILES[:3]:
        assert found[name] == expected[name], name


def test_what_belongs_to_another_search_is_refused_and_kept(reference: Path, fresh: Path) -> None:
    shutil.copytree(reference / "search", fresh / "search")
    before = contents(fresh)
    there = Run.open(fresh)
    with pytest.raises(OutputError, match=r"finished search; resume it .*anas_zoo\.search\(.* resume=True"):
        search_stage(there)
    with pytest.raises(SearchError, match=r"another search .seed: 0 there, 3 here"):
        search_stage(there, seed=3, resume=True)
    limited = there.recipe.search.changed(limits={"macs": {"max": 3e5}})
    with pytest.raises(SearchError, match=r"another search .settings\.limits\.macs\.max: None there"):
        search_stage(there, recipe=limited, resume=True)
    other = there.supernet
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    there.write_supernet(there.supernet_folder, other)
    with pytest.raises(SearchError, match=r"another search .scored_by\.supernet_sha256"):
        search_stage(Run.open(fresh), resume=True)
    assert contents(fresh) == before


def test_nothing_is_made_for_a_search_that_cannot_be(fresh: Path) -> None:
    there = Run.open(fresh)
    wanted = there.recipe.search
    for recipe, said in (
        (wanted.changed(limits={"macs": {"max": 10.0}}), "is too little"),
        (wanted.changed(images_forwarded=10), "less than one evaluation takes"),
        (wanted.changed(objectives=("top1_pct", "latency_ms")), "anas latency fit"),
    ):
        with pytest.raises(SearchError, match=said):
            search_stage(there, recipe=recipe)
    assert not (fresh / "search").exists()


@pytest.mark.slow
def test_the_command_killed_at_random_moments_is_the_same(fresh: Path, tmp_path: Path) -> None:
    """`anas search`, killed from outside wherever it happens to be, until it ends by itself."""
    command = [sys.executable, "-m", "anas_zoo.cli", "search", "run", "--device", "cpu"]
    kill_at_random(
        [*command, "--evaluations", "16"], tmp_path, kills=2, watched="evaluations.jsonl", changes=4
    )
    for name in FILES[:3]:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    front = json.loads((tmp_path / "whole" / "front.json").read_text())
    assert front["evaluations"] == 16
