from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.nets import Subnet, Supernet
from anas_zoo.space import SearchSpace
from anas_zoo.training import TrainRecipe
from anas_zoo.training.optimizer import (
    NEWTON_SCHULZ,
    NEWTON_SCHULZ_STEPS,
    OTHERS_RATE,
    Muon,
    make_optimizer,
    orthogonal,
)
from anas_zoo.training.trainer import learning_rate_factor


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


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_an_orthogonal_matrix_moves_as_far_in_all_directions(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, columns, generator=generator)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    scale = max(1.0, rows / columns) ** 0.5
    # In the basis of the matrix itself, as the polynomial only changes singular values.
    inside = left.T @ found @ right.T / scale
    kept = values > 0.01 * values.norm()  # smaller ones would need more steps
    diagonal = inside.diagonal()
    assert ((diagonal > 0.6) & (diagonal < 1.3))[kept].all()
    assert (inside - torch.diag(diagonal)).abs().max() < 0.05


@pytest.mark.parametrize("shape", [(8, 27), (128, 64), (96, 864)])
def test_an_orthogonal_matrix_is_that_of_the_plain_iteration(shape: tuple[int, int]) -> None:
    """Also where some directions are a thousand times weaker than others."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator) * torch.logspace(0, -3, shape[0])[:, None]
    x = (matrix if shape[0] <= shape[1] else matrix.T).double()
    x = x / x.norm()
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    expected = x if shape[0] <= shape[1] else x.T * (shape[0] / shape[1]) ** 0.5
    torch.testing.assert_close(orthogonal(matrix).double(), expected, rtol=1e-3, atol=1e-3)


def test_convolutions_before_batch_norms_are_orthogonal_and_nothing_else_is() -> None:
    space = SearchSpace.load("attentive_nas")
    subnet = Subnet(space.smallest, space.structure)
    optimizer = make_optimizer(subnet, TrainRecipe(optimizer="muon", classifier_rate_factor=4))
    turned, *others = optimizer.param_groups
    assert turned["orthogonal"]
    assert not any(group["orthogonal"] for group in others)
    names = {id(p): name for name, p in subnet.named_parameters()}
    found = {names[id(p)] for p in turned["params"]}
    wanted = {
        f"{name}.conv.weight"
        for name, module in subnet.named_modules()
        if hasattr(module, "bn") and module.conv.groups == 1
    }
    assert found == wanted
    assert any("expand" in name for name in found)
    assert not any(".se." in name or "depthwise" in name or "classifier" in name for name in found)
    assert (turned["rate_factor"], turned["weight_decay"]) == (1, 0)
    assert {group["rate_factor"] for group in others} == {OTHERS_RATE, 4 * OTHERS_RATE}
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(names)


def test_a_supernet_has_the_same_groups() -> None:
    space = SearchSpace.load("tiny")
    supernet = make_optimizer(Supernet(space, 10), TrainRecipe(optimizer="muon"))
    subnet = make_optimizer(
        Subnet(space.largest, space.structure, num_classes=10), TrainRecipe(optimizer="muon")
    )
    assert [len(g["params"]) for g in supernet.param_groups] == [
        len(g["params"]) for g in subnet.param_groups
    ]


def test_muon_is_sgd_but_for_its_orthogonal_groups_which_keep_their_norm() -> None:
    weights = [torch.randn(8, 3, 3, 3), torch.randn(5, 7), torch.randn(4)]
    gradients = [[torch.randn_like(weight) for weight in weights] for _ in range(3)]
    ours, sgd = ([torch.nn.Parameter(weight.clone()) for weight in weights] for _ in range(2))
    settings: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "foreach": True}
    muon = Muon(
        [
            {"params": ours[:1], "orthogonal": True},
            {"params": ours[1:], "orthogonal": False, "weight_decay": 0.01},
        ],
        **settings,
    )
    groups: list[dict[str, Any]] = [{"params": sgd[:1]}, {"params": sgd[1:], "weight_decay": 0.01}]
    plain = torch.optim.SGD(groups, **settings)
    buffer = torch.zeros(8, 3, 3, 3)
    weight = weights[0]
    for step in gradients:
        for own, other, gradient in zip(ours, sgd, step, strict=True):
            own.grad, other.grad = gradient.clone(), gradient.clone()
        muon.step()
        plain.step()
        assert all(map(torch.equal, ours[1:], sgd[1:]))
        buffer = 0.9 * buffer + step[0]
        direction = orthogonal((step[0] + 0.9 * buffer).reshape(8, 27)).reshape(8, 3, 3, 3)
        weight = weight / weight.norm() * 8**0.5 - 0.1 * direction
        torch.testing.assert_close(ours[0].detach(), weight)
        torch.testing.assert_close(muon.state[ours[0]]["momentum_buffer"], buffer)


def test_a_weight_without_a_gradient_stays() -> None:
    weight = torch.nn.Parameter(torch.randn(4, 2, 1, 1))
    before = weight.detach().clone()
    Muon([{"params": [weight], "orthogonal": True}], lr=0.1, momentum=0.9, nesterov=True).step()
    assert torch.equal(weight, before)
