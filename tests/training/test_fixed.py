"""The step of one fixed network, and a training of it that is stopped and resumed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from anas_zoo.data import Batch, DigitsSource, MemoryImages, PartOfPasses, Share
from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.nets.fake_quantization import fake_quantized
from anas_zoo.space import SearchSpace
from anas_zoo.training import DistillationRecipe, EvaluationRecipe, Processes, Trainer, TrainRecipe
from anas_zoo.training.sampling import Moment
from anas_zoo.training.step import DivergedError, FixedStep

SPACE = SearchSpace.load("digits")
HERE = Processes(torch.device("cpu"))
MOMENT = Moment((0, 0), 3, 10)
RECIPE = TrainRecipe(epochs=3, batch_size=32, warmup_epochs=0.5, evaluation=EvaluationRecipe(every_epochs=1))


def make_subnet(drop: float = 0.0) -> Subnet:
    weights = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0)).extract(SPACE.smallest)
    with torch.random.fork_rng(devices=[]):
        subnet = Subnet(SPACE.smallest, SPACE.structure, num_classes=10, drop_rate=drop, drop_path_rate=drop)
    subnet.load_state_dict(weights.state_dict())
    return subnet


def make_batches(count: int = 2) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 8, 3, 14, 14, generator=generator)
    labels = torch.randint(10, (count, 8), generator=generator)

    def batch(number: int) -> Batch:
        return Batch(lambda r: F.interpolate(images[number], size=(r, r)), labels[number], 8)

    return [batch(number) for number in range(count)]


def calibrated(subnet: Subnet) -> Subnet:
    generator = torch.Generator().manual_seed(3)
    calibrate_bn(
        subnet, [torch.randn(16, 3, subnet.arch.resolution, subnet.arch.resolution, generator=generator)]
    )
    return subnet


def gradients(subnet: Subnet) -> dict[str, torch.Tensor]:
    found = {name: p.grad for name, p in subnet.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def test_a_step_is_the_mean_label_loss_of_its_micro_batches() -> None:
    subnet, batches = make_subnet(), make_batches()
    by_hand = copy.deepcopy(subnet)
    subnet.eval()
    report = FixedStep(subnet, RECIPE, HERE)(batches, [0, 1], MOMENT)
    by_hand.train()
    side = SPACE.smallest.resolution
    losses = [
        F.cross_entropy(by_hand(batch.view(side)), batch.labels, label_smoothing=RECIPE.label_smoothing)
        for batch in batches
    ]
    total = torch.stack(losses).mean()
    total.backward()
    assert report.losses == {"subnet": pytest.approx(float(total.detach()), rel=1e-6)}
    assert (report.draws, report.forwards) == ((), 1)
    expected = gradients(by_hand)
    for name, gradient in gradients(subnet).items():
        assert torch.allclose(gradient, expected[name], atol=1e-6), name
    assert subnet.training
    assert int(subnet.get_buffer("stem.bn.num_batches_tracked")) == 2  # no longer calibrated


def test_a_teacher_says_half_of_the_loss() -> None:
    """Half of the labels, half of the teacher's soft predictions, which it makes at its own resolution."""
    subnet, batches = make_subnet(), make_batches()
    by_hand = copy.deepcopy(subnet).train()
    large = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(2)).extract(SPACE.largest)
    teacher = calibrated(large)
    recipe = RECIPE.model_copy(update={"distillation": DistillationRecipe(loss="kl")})
    report = FixedStep(subnet, recipe, HERE, teacher)(batches, [0, 1], MOMENT)
    losses = []
    for batch in batches:
        logits = by_hand(batch.view(SPACE.smallest.resolution))
        with torch.no_grad():
            soft = teacher(batch.view(SPACE.largest.resolution)).softmax(1)
        kl = (soft * (soft.log() - logits.log_softmax(1))).sum(1).mean()
        labels = F.cross_entropy(logits, batch.labels, label_smoothing=recipe.label_smoothing)
        losses.append(0.5 * labels + 0.5 * kl)
    total = torch.stack(losses).mean()
    total.backward()
    assert report.losses == {"subnet": pytest.approx(float(total.detach()), rel=1e-5)}
    expected = gradients(by_hand)
    for name, gradient in gradients(subnet).items():
        assert torch.allclose(gradient, expected[name], atol=1e-6), name
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert not teacher.training, "its statistics stay"


def test_a_step_that_computes_as_int8_does_has_the_gradient_of_that() -> None:
    subnet, batches = make_subnet(), make_batches()
    by_hand = copy.deepcopy(subnet).train()
    before = copy.deepcopy(dict(subnet.named_parameters()))
    report = FixedStep(subnet, RECIPE, HERE, qat=True)(batches, [0, 1], MOMENT)
    losses = []
    for batch in batches:
        with fake_quantized(by_hand):
            logits = by_hand(batch.view(SPACE.smallest.resolution))
            loss = F.cross_entropy(logits, batch.labels, label_smoothing=RECIPE.label_smoothing)
            (loss / len(batches)).backward()
        losses.append(float(loss.detach()))
    assert report.losses == {"subnet": pytest.approx(sum(losses) / len(losses), rel=1e-6)}
    expected = gradients(by_hand)
    for name, gradient in gradients(subnet).items():
        assert torch.allclose(gradient, expected[name], atol=1e-6), name
    assert all(torch.equal(value, before[name]) for name, value in subnet.named_parameters())


def test_a_recipe_without_distillation_asks_no_teacher() -> None:
    recipe = RECIPE.model_copy(update={"distillation": DistillationRecipe(loss="none")})
    found = []
    for teacher in (None, calibrated(make_subnet())):
        subnet = make_subnet()
        found.append((FixedStep(subnet, recipe, HERE, teacher)(make_batches(), [0, 1], MOMENT), subnet))
    (first, one), (second, other) = found
    assert first.losses == second.losses
    assert all(torch.equal(a, gradients(other)[name]) for name, a in gradients(one).items())


def test_dropout_follows_the_moment_and_leaves_the_global_generator_alone() -> None:
    def found(moment: Moment, numbers: list[int]) -> dict[str, torch.Tensor]:
        subnet = make_subnet(drop=0.5)
        before = torch.get_rng_state()
        FixedStep(subnet, RECIPE, HERE)(make_batches(), numbers, moment)
        assert torch.equal(before, torch.get_rng_state())
        return gradients(subnet)

    def differ(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
        return any(not torch.equal(first[name], second[name]) for name in first)

    reference = found(MOMENT, [0, 1])
    torch.rand(1, generator=torch.default_generator)  # whoever else draws
    assert not differ(reference, found(MOMENT, [0, 1]))
    assert differ(reference, found(MOMENT, [2, 3]))
    assert differ(reference, found(Moment((0, 0), 4, 10), [0, 1]))
    assert differ(reference, found(Moment((0, 1), 3, 10), [0, 1]))


def test_bf16_is_close_to_fp32_and_keeps_the_weights_in_fp32() -> None:
    values = []
    for precision in ("fp32", "bf16"):
        subnet = make_subnet()
        recipe = RECIPE.model_copy(update={"precision": precision})
        values.append(FixedStep(subnet, recipe, HERE)(make_batches(), [0, 1], MOMENT).losses["subnet"])
        assert {gradient.dtype for gradient in gradients(subnet).values()} == {torch.float32}
    assert values[0] != values[1]
    assert values[0] == pytest.approx(values[1], rel=0.05)


@pytest.mark.parametrize(("value", "message"), [("nan", "the loss became nan"), ("inf", "became")])
def test_a_loss_that_is_not_finite_changes_no_weight(value: str, message: str) -> None:
    subnet = make_subnet()
    with torch.no_grad():
        subnet.get_parameter("classifier.weight")[0, 0] = float(value)
    before = copy.deepcopy(dict(subnet.named_parameters()))
    with pytest.raises(DivergedError, match=message):
        FixedStep(subnet, RECIPE, HERE)(make_batches(), [0, 1], MOMENT)
    for name, parameter in subnet.named_parameters():
        assert torch.equal(parameter.nan_to_num(), before[name].nan_to_num()), name


class _Stopped(Exception):
    pass


def train(folder: Path, recipe: TrainRecipe, *, stop_after: int = 99) -> dict[str, torch.Tensor]:
    """Three epochs; the evaluation after epoch ``stop_after`` ends them early."""
    subnet, evaluations = make_subnet(drop=0.2), 0

    def evaluate() -> dict[str, float]:
        nonlocal evaluations
        evaluations += 1
        if evaluations == stop_after:
            raise _Stopped
        return {"subnet": 50.0}

    share = Share(recipe.batch_size)
    images = MemoryImages(DigitsSource(), range(128), side=8, share=share, augmentation=recipe.augmentation)
    data = PartOfPasses(images, recipe.epoch_part)
    step = FixedStep(subnet, recipe, HERE)
    Trainer(
        step, data, recipe, seed=0, folder=folder, identity={"test": 1}, processes=HERE, evaluate=evaluate
    ).run()
    return subnet.state_dict()


@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon", "epoch_part": 0.6}])
def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path: Path, changes: dict[str, Any]) -> None:
    recipe = RECIPE.model_copy(update=changes)
    whole = train(tmp_path / "whole", recipe)
    with pytest.raises(_Stopped):
        train(tmp_path / "parts", recipe, stop_after=2)
    resumed = train(tmp_path / "parts", recipe)
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    first = make_subnet().state_dict()
    assert not torch.equal(first["classifier.weight"], whole["classifier.weight"])
