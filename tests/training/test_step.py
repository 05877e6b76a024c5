from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anas_zoo.errors import TrainingError
from anas_zoo.nets import Supernet
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training.losses import distillation_loss, label_loss
from anas_zoo.training.recipe import SamplingRecipe, TrainRecipe
from anas_zoo.training.sampling import Quality
from anas_zoo.training.step import train_step

SPACE = SearchSpace.load("digits")
RECIPE = TrainRecipe(epochs=10, drop_rate=0.0, drop_path_rate=0.0, sampling=SamplingRecipe())


class Given:
    """A sampler that trains the architectures it was given and asks for their quality first."""

    def __init__(self, archs: list[Architecture]) -> None:
        self.archs, self.qualities = iter(archs), list[float]()

    def pick(self, rng: np.random.Generator, quality: Quality) -> Architecture:
        arch = next(self.archs)
        self.qualities.append(quality(arch))
        return arch

    def acceptance_pct(self) -> float | None:
        return None


def setup() -> tuple[Supernet, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    supernet = Supernet(SPACE, 10, generator=generator)
    images = torch.randn(8, 3, 14, 14, generator=generator)
    labels = torch.randint(10, (8,), generator=generator)
    return supernet, images, labels


def test_losses_against_their_definitions() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]], requires_grad=True)
    teacher = torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, 0.0]])
    p = teacher.softmax(1)
    expected = (p * (p.log() - logits.log_softmax(1))).sum(1).mean()
    assert torch.allclose(distillation_loss(logits, teacher), expected)
    assert float(distillation_loss(teacher, teacher)) == pytest.approx(0.0, abs=1e-7)
    target = torch.full((2, 3), 0.1 / 3)
    target[0, 2] += 0.9
    target[1, 0] += 0.9
    by_hand = -(target * logits.log_softmax(1)).sum(1).mean()
    assert torch.allclose(label_loss(logits, torch.tensor([2, 0]), 0.1), by_hand)


def test_a_step_is_the_sum_of_the_sandwich_gradients() -> None:
    """Largest on labels, the sampled and the smallest on the largest one's soft predictions."""
    supernet, images, labels = setup()
    rng = np.random.default_rng(0)
    archs = [SPACE.sample(rng) for _ in range(2)]

    def view(resolution: int) -> torch.Tensor:
        return F.interpolate(images, size=(resolution, resolution), mode="bilinear")

    sampler = Given(archs)
    report = train_step(supernet, view, labels, RECIPE, sampler, rng, torch.Generator())
    got = {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
    assert report.sampled == tuple(archs)

    supernet.zero_grad()
    teacher = supernet(view(SPACE.largest.resolution), SPACE.largest)
    total = F.cross_entropy(teacher, labels, label_smoothing=0.1)
    assert report.largest_loss == pytest.approx(float(total.detach()))
    soft = teacher.detach().softmax(1)
    for arch in (*archs, SPACE.smallest):
        student = supernet(view(arch.resolution), arch).log_softmax(1)
        total = total + (soft * (soft.log() - student)).sum(1).mean()
    total.backward()
    # A shortcut's projection is used only by architectures that change the width there.
    expected = {name: p.grad for name, p in supernet.named_parameters() if p.grad is not None}
    assert got.keys() == expected.keys()
    assert len(got) > 0.9 * len(list(supernet.parameters()))
    for name, gradient in expected.items():
        assert torch.allclose(got[name], gradient, atol=1e-5), name
    for arch, quality in zip(archs, sampler.qualities, strict=True):
        with torch.no_grad():
            loss = F.cross_entropy(supernet(view(arch.resolution), arch), labels)
        assert quality == pytest.approx(-float(loss), abs=1e-5)


def test_dropout_acts_on_the_largest_only_and_follows_its_generator() -> None:
    supernet, images, labels = setup()
    recipe = RECIPE.model_copy(update={"drop_rate": 0.5, "drop_path_rate": 0.5, "subnets_per_step": 2})

    def losses(seed: int) -> tuple[float, float]:
        report = train_step(
            supernet,
            lambda r: F.interpolate(images, size=(r, r)),
            labels,
            recipe,
            Given([]),
            np.random.default_rng(0),
            torch.Generator().manual_seed(seed),
        )
        return report.largest_loss, report.smallest_loss

    assert losses(1) == losses(1)
    assert losses(1)[0] != losses(2)[0]


def test_a_loss_that_is_not_finite_stops_before_any_weight_changes() -> None:
    supernet, images, labels = setup()
    with torch.no_grad():
        supernet.classifier.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="largest subnet became nan"):
        train_step(
            supernet,
            lambda r: F.interpolate(images, size=(r, r)),
            labels,
            RECIPE,
            Given([SPACE.smallest] * 2),
            np.random.default_rng(0),
            torch.Generator(),
        )
    assert all(parameter.grad is None for parameter in supernet.parameters())
