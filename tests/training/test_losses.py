from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.training.losses import alpha_divergence, distillation_loss, kl_loss, label_loss, size_weights
from anas_zoo.training.recipe import DistillationRecipe, SizeWeights

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]])
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, 0.0]])
FAR = 1e9  # a clip that nothing reaches


def by_definition(logits: torch.Tensor, teacher: torch.Tensor, alpha: float) -> torch.Tensor:
    q, p = logits.softmax(1), teacher.softmax(1)
    return ((q * (p / q) ** alpha).sum(1) - 1) / (alpha * (alpha - 1))


def test_losses_against_their_definitions() -> None:
    p = TEACHER.softmax(1)
    expected = (p * (p.log() - LOGITS.log_softmax(1))).sum(1).mean()
    assert torch.allclose(kl_loss(LOGITS, TEACHER), expected)
    assert float(kl_loss(TEACHER, TEACHER)) == pytest.approx(0.0, abs=1e-7)
    target = torch.full((2, 3), 0.1 / 3)
    target[0, 2] += 0.9
    target[1, 0] += 0.9
    by_hand = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    assert torch.allclose(label_loss(LOGITS, torch.tensor([2, 0]), 0.1), by_hand)


@pytest.mark.parametrize("alpha", [-1.0, -0.5, 0.5, 2.0])
def test_alpha_divergence_and_its_gradient_are_the_definition_where_nothing_is_clipped(alpha: float) -> None:
    ours, plain = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    found, expected = alpha_divergence(ours, TEACHER, alpha, FAR), by_definition(plain, TEACHER, alpha)
    assert torch.allclose(found, expected, atol=1e-6)
    found.sum().backward()
    expected.sum().backward()
    assert ours.grad is not None
    assert plain.grad is not None
    assert torch.allclose(ours.grad, plain.grad, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_divergence_has_both_kl_divergences_as_limits(alpha: float) -> None:
    ours, plain = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    found = alpha_divergence(ours, TEACHER, alpha, FAR)
    log_q, log_p = plain.log_softmax(1), TEACHER.log_softmax(1)
    terms = log_p.exp() * (log_p - log_q) if alpha == 1 else log_q.exp() * (log_q - log_p)
    assert torch.allclose(found, terms.sum(1), atol=1e-6)
    found.sum().backward()
    terms.sum().backward()
    assert ours.grad is not None
    assert plain.grad is not None
    assert torch.allclose(ours.grad, plain.grad, atol=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=6, max_size=6), st.sampled_from([-1.0, 0.5, 1.0, 3.0]))
def test_clipping_bounds_value_and_gradient(values: list[float], alpha: float) -> None:
    """Student and teacher may disagree beyond what float32 can express as a ratio."""
    logits = torch.tensor(values).view(2, 3).requires_grad_()
    teacher = -logits.detach().flip(1)
    found = alpha_divergence(logits, teacher, alpha, 5.0)
    found.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(found).all()
    # |∇| ≤ (1/α) · clip · Σ|q ∇log q| and Σ|q ∇log q| ≤ 2 for a softmax.
    assert float(logits.grad.abs().max()) <= 5.0 / abs(alpha) * 2 + 1e-4


def test_the_larger_divergence_counts_for_each_image() -> None:
    recipe = DistillationRecipe(loss="alpha")
    low, high = (alpha_divergence(LOGITS, TEACHER, alpha, 5.0) for alpha in (-1.0, 1.0))
    assert not torch.equal(low > high, low < high)
    found = distillation_loss(LOGITS, TEACHER, recipe)
    assert torch.allclose(found, torch.maximum(low, high).mean())
    kl = distillation_loss(LOGITS, TEACHER, DistillationRecipe())
    assert torch.allclose(kl, kl_loss(LOGITS, TEACHER))


def test_the_teacher_learns_nothing_from_its_students() -> None:
    teacher = TEACHER.clone().requires_grad_()
    student = LOGITS.clone().requires_grad_()
    for recipe in (DistillationRecipe(), DistillationRecipe(loss="alpha")):
        distillation_loss(student, teacher, recipe).backward()
    assert teacher.grad is None


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 0.999), st.floats(0, 10), st.floats(0, 10)
)
def test_weights_by_size_keep_their_sum_and_shift_with_time(
    places: list[float], done: float, smallest: float, largest: float
) -> None:
    recipe = SizeWeights(smallest=smallest, largest=largest)
    assert size_weights(places, 0.0, recipe) == [1.0] * len(places)
    weights = size_weights(places, done, recipe)
    assert sum(weights) == pytest.approx(len(places))
    if smallest >= largest:  # the larger a subnet, the more it counts late
        ordered = [weight for _, weight in sorted(zip(places, weights, strict=True))]
        assert all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(ordered))
