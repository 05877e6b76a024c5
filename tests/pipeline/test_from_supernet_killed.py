"""Runs from a supernet: killed and resumed, and in two processes, they end with what one run has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killing import kill_at_random
from small_supernets import QUICK, drawn, other_space, write, write_digits

from anas_zoo.nets import load_supernet

ANAS = [sys.executable, "-m", "anas_zoo.cli"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SEARCH_FILES = ["search.json", "evaluations.jsonl", "front.json"]
SETTINGS = [word for setting in QUICK for word in ("--set", setting)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a structure that is not ours, with kernel transforms; nobody trained it."""
    return write(tmp_path_factory.mktemp("supernets") / "other", drawn(other_space(), 4))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = {1: "a", 2: "b", 3: "c", 4: "d"}
    return write_digits(tmp_path_factory.mktemp("images") / "four", names, per_class=40)


def same_search(first: Path, second: Path) -> None:
    for name in SEARCH_FILES:
        assert (first / "search" / name).read_bytes() == (second / "search" / name).read_bytes(), name


def same_weights(first: Path, second: Path) -> None:
    names = ("supernet/supernet.safetensors", "supernet/supernet.json", "init/supernet.json")
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_killed_search_of_a_supernet_is_the_same(supernet: Path, images: Path, tmp_path: Path) -> None:
    command = [*ANAS, "search", str(supernet), "--data", str(images), "--device", "cpu"]
    command += ["--evaluations", "12", "--algorithm", "random"]
    kill_at_random(command, tmp_path, kills=2, watched="search/evaluations.jsonl", changes=3)
    same_search(tmp_path / "whole", tmp_path / "cut")


def test_a_killed_training_from_a_supernet_is_the_same(supernet: Path, images: Path, tmp_path: Path) -> None:
    command = [*ANAS, "train", "--init", str(supernet), "--data", str(images), "--device", "cpu", *SETTINGS]
    command += ["--set", "train.epochs=6", "--set", "train.opening={largest: 0.2, depth: 0.4}"]
    command += ["--set", "train.classifier_rate_factor=3"]
    kill_at_random(command, tmp_path, kills=2, watched="training/checkpoints/step-*", changes=3)
    same_weights(tmp_path / "whole", tmp_path / "cut")


def test_two_processes_search_what_one_does(supernet: Path, images: Path, tmp_path: Path) -> None:
    words = ["search", str(supernet), "--data", str(images), "--device", "cpu", "--evaluations", "6"]
    words += ["--algorithm", "random", "--json"]
    printed = []
    for program, out in (([sys.executable], "one"), (TORCHRUN, "two")):
        command = [*program, "-m", "anas_zoo.cli", *words, "--out", str(tmp_path / out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(json.loads(done.stdout))
    same_search(tmp_path / "one", tmp_path / "two")
    assert printed[0]["front"] == printed[1]["front"]


def test_two_processes_train_what_one_does(supernet: Path, images: Path, tmp_path: Path) -> None:
    words = ["train", "--init", str(supernet), "--data", str(images), "--device", "cpu", *SETTINGS]
    one = [*ANAS, *words, "--set", "train.accumulation=2", "--out", str(tmp_path / "one")]
    two = [*TORCHRUN, "-m", "anas_zoo.cli", *words, "--out", str(tmp_path / "two")]
    for command in (one, two):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("trained") == 1, "one process speaks"
    first, second = (load_supernet(tmp_path / out / "supernet").state_dict() for out in ("one", "two"))
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], atol=2e-3, rtol=1e-2), name
