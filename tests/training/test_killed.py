"""A training that is killed at any moment and resumed gives the weights of one that was not, bit by bit."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
from pathlib import Path

import killed
import pytest
from killing import exit_codes, kill_at_random
from training_parts import same

from anas_zoo.nets import load_supernet

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["anas_zoo.pipeline.train", "torch.utils.tensorboard"])  # the slow imports


def run(folder: Path, point: str = "") -> int:
    """Exit code of a process that trains in ``folder``."""
    return exit_codes(CONTEXT, killed.run, (folder, point))[0]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(folder) == 0
    return folder


def metrics(folder: Path) -> list[object]:
    """What does not depend on the clock."""
    # A resumed report covers the steps since the resume alone; everything cumulative is the same.
    changing = {"images_per_s", "data_wait_pct", "steps", "loss"}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in changing} for line in lines]


POINTS = [
    ["step 1"],  # before anything but the first checkpoint
    ["gradients 9"],  # gradients computed, weights not yet changed
    ["fsync 4"],  # inside the write of a checkpoint
    ["replace 5"],  # written whole, not yet in its place
    ["step 3", "metrics 3", "fsync 3"],  # again and again, once in the middle of a line
]


@pytest.mark.slow
@pytest.mark.parametrize("points", POINTS, ids="+".join)
def test_killed_and_resumed_is_bit_identical(tmp_path: Path, uninterrupted: Path, points: list[str]) -> None:
    for point in points:
        assert run(tmp_path, point) == -signal.SIGKILL
        assert not (tmp_path / "supernet.safetensors").exists()
    assert run(tmp_path) == 0
    found = load_supernet(tmp_path).state_dict()
    assert same(found, load_supernet(uninterrupted).state_dict())
    assert metrics(tmp_path) == metrics(uninterrupted)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == sorted(path.name for path in (uninterrupted / "checkpoints").iterdir()), (
        "nothing half-written"
    )


@pytest.mark.slow
def test_the_command_killed_at_random_moments_is_bit_identical(tmp_path: Path) -> None:
    """`anas train`, killed from outside wherever it happens to be, until it ends by itself."""
    settings = ["train.epochs=4", "train.warmup_epochs=0.5", "train.checkpoints.every_steps=3"]
    settings += ["train.sampling.prior_draws=5000", "train.evaluation.every_epochs=1"]
    command = [sys.executable, "-m", "anas_zoo.cli", "train", "--recipe", "digits", "--device", "cpu"]
    command += [word for setting in settings for word in ("--set", setting)]
    kill_at_random(command, tmp_path, kills=3, watched="training/checkpoints/*", changes=4)
    name = "supernet/supernet.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
