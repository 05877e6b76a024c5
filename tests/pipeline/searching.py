"""Searches in processes of their own, for the tests that kill them and that join them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from killing import join_as
from tiny_recipe import TINY, tiny_recipe

from anas_zoo.nets import Supernet
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.pipeline.search_stage import search_stage
from anas_zoo.searching import Archive
from anas_zoo.training import join_processes

SEARCH = {"evaluations": 14, "surrogate": {"initial": 6, "batch": 3, "population": 20, "generations": 3}}


def recipe(**search: Any) -> Recipe:
    return tiny_recipe(search=TINY["search"] | {"calibration_images": 64, "images": 60} | SEARCH | search)


def make_run(folder: Path, **search: Any) -> Run:
    """A run with a supernet that nobody trained: searching it is as much work."""
    run = Run.start(folder, recipe(**search))
    supernet = Supernet(run.space, 10, generator=torch.Generator().manual_seed(0))
    run.write_supernet(run.supernet_folder, supernet)
    return run


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_archive(number: int, when: str) -> None:
    """End the process at the ``number``-th evaluation: before, within, or right after it is written down."""
    real, left = Archive.add, number

    def dying(self: Archive, records: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            die()
        if left == 0 and when == "within":
            self._file.write('{"arch":{"depth":[1,2')
            self._file.flush()
            die()
        real(self, records)
        if left == 0:
            die()

    Archive.add = dying  # type: ignore[method-assign]


def die_on_replace(name: str) -> None:
    """End the process instead of putting a file of that name in its place."""
    real = os.replace

    def dying(source: Any, target: Any) -> None:
        if Path(target).name == name:
            die()
        real(source, target)

    os.replace = dying  # type: ignore[assignment]


def run_search(folder: Path, point: str = "") -> None:
    """Search the run in ``folder``; die at ``point``, such as ``"within 5"`` or ``"replace front.json"``."""
    torch.set_num_threads(1)
    kind, _, what = point.partition(" ")
    if kind == "replace":
        die_on_replace(what)
    elif kind:
        die_in_archive(int(what), kind)
    search_stage(Run.open(folder), resume=True)


def search_together(folder: Path, rank: int, count: int, port: int) -> None:
    """Search the run in ``folder`` as process ``rank`` of ``count``."""
    torch.set_num_threads(1)
    join_as(rank, count, port)
    with join_processes("cpu") as processes:
        outcome = search_stage(Run.open(folder), processes=processes)
    assert (outcome is not None) == processes.first
