from __future__ import annotations

import pytest
import torch

from anas_zoo.data import AugmentationRecipe, DigitsSource, TrainImages
from anas_zoo.errors import ConfigError, TrainingError
from anas_zoo.nets import Supernet
from anas_zoo.schema import parse
from anas_zoo.space import SearchSpace
from anas_zoo.training import EpochReport, SamplingRecipe, TrainRecipe, train_supernet
from anas_zoo.training.loop import learning_rate_factor, make_optimizer

SPACE = SearchSpace.load("digits")
RECIPE = TrainRecipe(
    epochs=2,
    batch_size=32,
    subnets_per_step=3,
    warmup_epochs=0.5,
    drop_rate=0.1,
    drop_path_rate=0.1,
    sampling=SamplingRecipe(prior_draws=5000, prior_bins=20),
    augmentation=AugmentationRecipe(rotation_deg=10),
)


def train(recipe: TrainRecipe = RECIPE, seed: int = 0) -> tuple[Supernet, list[EpochReport]]:
    source = DigitsSource()
    images = TrainImages(source, range(64), source.preprocessing, 16)
    supernet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(seed))
    reports: list[EpochReport] = []
    train_supernet(supernet, images, recipe, seed=seed, on_epoch=reports.append)
    return supernet, reports


def test_the_same_seed_gives_the_same_weights_to_the_last_bit() -> None:
    (first, reports), (second, _), (other, _) = train(), train(), train(seed=1)
    states = [supernet.state_dict() for supernet in (first, second, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["mix.weight"], states[2]["mix.weight"])
    assert [report.epoch for report in reports] == [1, 2]
    assert all(report.steps == 2 and report.acceptance_pct for report in reports)


def test_every_weight_of_the_supernet_is_trained() -> None:
    untrained = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0)).state_dict()
    trained, _ = train()
    for name, parameter in trained.named_parameters():
        assert not torch.equal(parameter, untrained[name]), name
    for name, buffer in trained.named_buffers():
        assert torch.equal(buffer, untrained[name]), f"{name}: running statistics are not for the supernet"


def test_the_global_generators_are_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(RECIPE.model_copy(update={"epochs": 1}))
    assert torch.equal(before, torch.get_rng_state())


def test_schedule_warms_up_and_ends_at_zero() -> None:
    recipe = TrainRecipe(epochs=10, warmup_epochs=2)
    assert learning_rate_factor(0, recipe) == pytest.approx(0.001)
    assert learning_rate_factor(1, recipe) == pytest.approx(0.5005)
    assert learning_rate_factor(2, recipe) == pytest.approx(1.0)
    assert learning_rate_factor(6, recipe) == pytest.approx(0.5)
    assert learning_rate_factor(10, recipe) == pytest.approx(0.0)


def test_batch_norms_and_biases_are_not_decayed() -> None:
    optimizer = make_optimizer(Supernet(SPACE, 10), RECIPE)
    decayed, others = optimizer.param_groups
    assert decayed["weight_decay"] > 0
    assert others["weight_decay"] == 0
    assert {p.ndim for p in others["params"]} == {1}
    assert {p.ndim for p in decayed["params"]} == {2, 4}


def test_divergence_stops_with_advice() -> None:
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(RECIPE.model_copy(update={"learning_rate": 1e12, "epochs": 20, "warmup_epochs": 0.0}))


def test_a_recipe_with_a_wrong_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'sampling.stratgy' \(did you mean 'strategy'\?\)"):
        parse(TrainRecipe, {"sampling": {"stratgy": "bestup"}}, "recipe.yaml")
    with pytest.raises(ConfigError, match="warmup_epochs"):
        parse(TrainRecipe, {"epochs": 3}, "recipe.yaml")
