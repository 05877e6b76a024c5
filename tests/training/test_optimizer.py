from __future__ import annotations

import pytest

from anas_zoo.nets import Supernet
from anas_zoo.space import SearchSpace
from anas_zoo.training import TrainRecipe
from anas_zoo.training.trainer import learning_rate_factor, make_optimizer


def test_schedule_warms_up_and_ends_at_zero() -> None:
    recipe = TrainRecipe(epochs=10, warmup_epochs=2)
    assert learning_rate_factor(0, recipe) == pytest.approx(0.001)
    assert learning_rate_factor(1, recipe) == pytest.approx(0.5005)
    assert learning_rate_factor(2, recipe) == pytest.approx(1.0)
    assert learning_rate_factor(6, recipe) == pytest.approx(0.5)
    assert learning_rate_factor(10, recipe) == pytest.approx(0.0)


def test_a_classifier_has_a_rate_of_its_own() -> None:
    supernet = Supernet(SearchSpace.load("digits"), 10)
    plain = make_optimizer(supernet, TrainRecipe())
    optimizer = make_optimizer(supernet, TrainRecipe(classifier_rate_factor=4))
    own = {id(p) for p in supernet.classifier.parameters()}
    assert len(optimizer.param_groups) == 4
    for group in optimizer.param_groups:
        is_own = {id(p) in own for p in group["params"]}
        assert is_own == {group["rate_factor"] == 4}
        assert (group["weight_decay"] > 0) == (group["params"][0].ndim > 1)
    assert [group["rate_factor"] for group in plain.param_groups] == [1, 1]
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(supernet.parameters()))


def test_batch_norms_and_biases_are_not_decayed() -> None:
    optimizer = make_optimizer(Supernet(SearchSpace.load("digits"), 10), TrainRecipe())
    decayed, others = optimizer.param_groups
    assert decayed["weight_decay"] > 0
    assert others["weight_decay"] == 0
    assert {p.ndim for p in others["params"]} == {1}
    assert {p.ndim for p in decayed["params"]} == {2, 4}
