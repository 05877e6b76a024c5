"""The plain network beside a run: its form for every size of image, and the draft that it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe

from anas_zoo.core.schema import read_json
from anas_zoo.entry import Entry
from anas_zoo.nets import Subnet
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.export import export_entry
from anas_zoo.pipeline.yardstick import plain_space, train_yardstick
from anas_zoo.zoo import publish, verify


@pytest.mark.parametrize(
    ("resolution", "widths"),
    [
        (8, [16, 32]),
        (28, [16, 32, 64]),
        (64, [16, 32, 64, 128]),
        (96, [16, 32, 64, 128, 128]),
        (224, [16, 32, 64, 128, 128, 128]),
    ],
)
def test_widths_double_and_the_last_map_is_small(resolution: int, widths: list[int]) -> None:
    space = plain_space(resolution)
    assert space.size == 1
    assert list(space.largest.width) == [*widths, widths[-1]]  # stem and stages, and the head's 1×1
    with torch.random.fork_rng(devices=[]):
        subnet = Subnet(space.largest, space.structure, num_classes=3).eval()
    kinds = {type(module).__name__ for module in subnet.modules()}
    convolutions = [module for module in subnet.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == len(widths) + 1
    assert all(convolution.groups == 1 for convolution in convolutions)
    assert not any("Squeeze" in kind for kind in kinds)
    with torch.no_grad():
        assert subnet(torch.zeros(2, 3, resolution, resolution)).shape == (2, 3)
    assert sum(parameter.numel() for parameter in subnet.parameters()) == space.params(
        [space.largest], num_classes=3
    )


def test_its_draft_is_tested_exported_published_and_verified(tmp_path: Path) -> None:
    train = {"epochs": 1, "batch_size": 128, "warmup_epochs": 0}
    winners = {"epochs": 2, "warmup_epochs": 0.5, "learning_rate": 0.1}
    run = Run.start(tmp_path / "run", tiny_recipe(train=train, winners=winners, yardstick=True))
    train_yardstick(run, None)
    report = Entry.read(run.yardstick_draft).report
    assert report.name == "digits_plain"
    assert report.accuracy is not None
    assert (report.accuracy.split, report.accuracy.images) == ("test", len(run.split.test))
    export_entry(run.yardstick_draft)
    verify(publish(run.yardstick_draft, tmp_path / "entry"))
    # Repeated after an interruption, its training is not done again.
    metrics = (run.yardstick_folder / "training" / "metrics.jsonl").read_bytes()
    weights = (run.yardstick_draft / "model.safetensors").read_bytes()
    run.yardstick_draft.rename(tmp_path / "before")
    train_yardstick(run, None)
    assert (run.yardstick_draft / "model.safetensors").read_bytes() == weights
    assert (run.yardstick_folder / "training" / "metrics.jsonl").read_bytes() == metrics


def test_its_epochs_follow_from_the_seconds_and_are_decided_once(tmp_path: Path) -> None:
    train = {"epochs": 1, "batch_size": 256, "warmup_epochs": 0}
    run = Run.start(tmp_path / "run", tiny_recipe(train=train, winners={}, yardstick=True))
    train_yardstick(run, 0.5)
    decided = read_json(run.yardstick_folder / "training.json")
    assert decided["epochs"] >= 1
    run.yardstick_draft.rename(tmp_path / "before")
    train_yardstick(run, 100.0)
    assert read_json(run.yardstick_folder / "training.json") == decided
