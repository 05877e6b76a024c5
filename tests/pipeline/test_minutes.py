"""The minutes of a run: shares, what is left, and what is decided once."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Literal

import pytest
import torch

from anas_zoo.core.errors import OutputError
from anas_zoo.core.files import write_json
from anas_zoo.data import AugmentationRecipe, DigitsSource, MemoryImages, Share
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.minutes import PARTS, SHARES, Minutes, busy_cores, epochs_within, seconds_per_step
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes, TrainRecipe
from anas_zoo.training.step import FixedStep


def minutes_with(tmp_path: Path, spent_s: dict[str, float], minutes: float = 10) -> Minutes:
    """The minutes of a run whose parts have taken ``spent_s`` before."""
    file = tmp_path / "minutes.json"
    write_json(file, {"minutes": minutes, "spent_s": spent_s, "decided": {}})
    return Minutes(file, minutes)


def test_the_shares_are_the_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert list(SHARES) == list(PARTS)
    assert SHARES["search"] <= 0.25
    assert SHARES["winners"] >= 0.5, "the larger part"


def test_a_part_gets_its_share_of_what_is_left(tmp_path: Path) -> None:
    new = minutes_with(tmp_path, {})
    assert new.seconds_for("supernet") > 0
    # In order, each taking what it gets, they end with the minutes.
    spent: dict[str, float] = {}
    for part in PARTS:
        spent[part] = minutes_with(tmp_path, spent).seconds_for(part)
    assert sum(spent.values()) == pytest.approx(600)
    for part in PARTS:
        assert spent[part] == pytest.approx(600 * SHARES[part])


def test_what_later_parts_are_known_not_to_need_is_given_before(tmp_path: Path) -> None:
    before: dict[str, float] = {"flips": 20.0, "supernet": 100.0, "search": 30.0}
    minutes = minutes_with(tmp_path, before)
    share = minutes.seconds_for("winners")
    assert share < 450 - 600 * 0.06
    assert minutes.seconds_for("winners", later_s=20.0) == pytest.approx(430)
    assert minutes.seconds_for("winners", later_s=200.0) == share, "never less than its share"
    spent = minutes_with(tmp_path, before | {"winners": 30.0})
    assert spent.seconds_for("winners", later_s=20.0) == pytest.approx(400)


def test_what_was_overspent_is_missing_later_and_never_below_nothing(tmp_path: Path) -> None:
    late = minutes_with(tmp_path, {"supernet": 500.0})
    assert late.seconds_for("search") + 0 < 600 * SHARES["search"]
    assert late.seconds_for("winners") < 100
    assert minutes_with(tmp_path, {"supernet": 700.0}).seconds_for("winners") == 0
    resumed = minutes_with(tmp_path, {"winners": 100.0})
    whole = minutes_with(tmp_path, {}).seconds_for("winners")
    assert resumed.seconds_for("winners") == pytest.approx(whole - 100)


def test_seconds_are_counted_also_where_a_part_is_interrupted(tmp_path: Path) -> None:
    minutes = Minutes(tmp_path / "minutes.json", 10)

    def interrupted() -> None:
        with minutes.spending("search"):
            time.sleep(0.02)
            assert minutes.spent_s["search"] >= 0.02
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    again = Minutes(tmp_path / "minutes.json", 10)
    first = again.spent_s["search"]
    assert first >= 0.02
    with again.spending("search"):
        time.sleep(0.01)
    assert again.spent_s["search"] >= first + 0.01


def test_what_was_decided_stays_decided(tmp_path: Path) -> None:
    file = tmp_path / "minutes.json"
    assert Minutes(file, 10).decided("supernet", lambda: {"epochs": 3}) == {"epochs": 3}
    with Minutes(file, 10).spending("search"):
        pass
    assert Minutes(file, 10).decided("supernet", lambda: {"epochs": 4}) == {"epochs": 3}
    assert json.loads(file.read_text())["decided"] == {"supernet": {"epochs": 3}}


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    file = tmp_path / "minutes.json"
    file.write_text('{"minutes": -1}')
    with pytest.raises(OutputError, match="minutes"):
        Minutes(file, 10)


@pytest.mark.parametrize("epochs", [0.2, 1.0, 2.9, 7.3, 40.0])
def test_a_recipe_of_as_many_epochs_as_there_is_time_for(epochs: float) -> None:
    recipe = epochs_within(TrainRecipe(epochs=360, warmup_epochs=5), epochs=epochs, epoch_s=2.0)
    assert 0.95 * epochs - 1 * (epochs > 10) <= recipe.epochs * recipe.epoch_part <= epochs
    assert recipe.epochs >= 4
    assert recipe.warmup_epochs < recipe.epochs
    assert recipe.evaluation.every_epochs <= recipe.epochs
    assert 1 <= (recipe.checkpoints.every_epochs or 0) <= recipe.epochs
    assert TrainRecipe.model_validate(recipe.model_dump()) == recipe


def test_cores_are_kept_busy_during_a_block_only() -> None:
    before = threading.active_count()
    with busy_cores(2):
        assert threading.active_count() == before + 2
    assert threading.active_count() == before
    with pytest.raises(KeyboardInterrupt), busy_cores(1):
        raise KeyboardInterrupt
    assert threading.active_count() == before


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
@pytest.mark.parametrize("images", [64, 256])
def test_a_step_is_timed_also_where_a_pass_has_a_single_one(
    images: int, optimizer: Literal["sgd", "muon"]
) -> None:
    space = SearchSpace.load("digits")
    recipe = TrainRecipe(epochs=1, batch_size=64, warmup_epochs=0, optimizer=optimizer)
    share = Share(recipe.batch_size, 1, 0, 1)
    data = MemoryImages(DigitsSource(), range(images), side=8, share=share, augmentation=AugmentationRecipe())
    subnet = Subnet(space.smallest, space.structure, num_classes=10)
    before = {name: tensor.clone() for name, tensor in subnet.state_dict().items()}
    began = time.perf_counter()
    found = seconds_per_step(FixedStep(subnet, recipe, Processes(torch.device("cpu"))), data, recipe, 0)
    assert 0 < found < time.perf_counter() - began
    assert all(torch.equal(tensor, before[name]) for name, tensor in subnet.state_dict().items())
    assert all(weight.grad is None for weight in subnet.parameters())
