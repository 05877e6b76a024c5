from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anas_zoo.data import Batch
from anas_zoo.nets import Supernet
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.training import Processes, SupernetStep, TrainRecipe
from anas_zoo.training.sampling import Draw, Moment, Quality, Sampler
from anas_zoo.training.step import DivergedError

SPACE = SearchSpace.load("digits")
RECIPE = TrainRecipe(epochs=10, drop_rate=0.0, drop_path_rate=0.0)
HERE = Processes(torch.device("cpu"))
MOMENT = Moment((0, 0), 0, 100)


class Given(Sampler):
    """A sampler that trains the draws it was given and asks for their quality first."""

    def __init__(self, draws: Sequence[Draw]) -> None:
        self.draws, self.qualities = list(draws), list[float]()

    def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
        between = [draw.arch for draw in self.draws if draw.kind == "sampled"]
        if between:
            self.qualities = list(quality(between))
        return self.draws


def sandwich(count: int = 2, seed: int = 0) -> list[Draw]:
    archs = SPACE.decode(SPACE.sample_codes(np.random.default_rng(seed), count))
    between = [Draw(arch, "sampled") for arch in archs]
    return [Draw(SPACE.largest, "largest"), *between, Draw(SPACE.smallest, "smallest")]


def setup(images: int = 8) -> tuple[Supernet, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    supernet = Supernet(SPACE, 10, generator=generator)
    pixels = torch.randn(images, 3, 14, 14, generator=generator)
    return supernet, pixels, torch.randint(10, (images,), generator=generator)


def view_of(images: torch.Tensor) -> Callable[[int], torch.Tensor]:
    return lambda r: F.interpolate(images, size=(r, r), mode="bilinear")


def cut(images: torch.Tensor, labels: torch.Tensor, parts: int) -> list[Batch]:
    pairs = zip(images.chunk(parts), labels.chunk(parts), strict=True)
    return [Batch(view_of(i), y, len(y)) for i, y in pairs]


def gradients(supernet: Supernet) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}


def expected_gradients(
    supernet: Supernet, draws: Sequence[Draw], batches: Sequence[Batch], *, distil: bool
) -> dict[str, torch.Tensor]:
    """By the definition: a sum of losses, averaged over the micro-batches, in one backward pass."""
    supernet.zero_grad()
    total = torch.zeros(())
    for batch in batches:
        soft = None
        for draw in draws:
            logits = supernet(batch.view(draw.arch.resolution), draw.arch)
            if soft is None or not distil or draw.kind == "largest":
                total = total + F.cross_entropy(logits, batch.labels, label_smoothing=0.1) / len(batches)
            else:
                loss = (soft * (soft.log() - logits.log_softmax(1))).sum(1).mean()
                total = total + loss / len(batches)
            if draw.kind == "largest":
                soft = logits.detach().softmax(1)
    total.backward()
    return gradients(supernet)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("distillation", ["kl", "none"])
def test_a_step_is_the_sum_of_the_sandwich_gradients(parts: int, distillation: str) -> None:
    """Largest on labels, the others on the largest one's soft predictions, over all micro-batches."""
    supernet, images, labels = setup()
    batches, sampler = cut(images, labels, parts), Given(sandwich())
    recipe = TrainRecipe.model_validate(
        {"drop_rate": 0.0, "drop_path_rate": 0.0, "distillation": {"loss": distillation}}
    )
    report = SupernetStep(supernet, recipe, sampler, HERE)(batches, range(parts), MOMENT)
    got = gradients(supernet)
    assert report.draws == tuple(sampler.draws)
    assert report.forwards == 4 + 2
    assert list(report.losses) == ["largest", "sampled", "smallest"]
    expected = expected_gradients(supernet, sampler.draws, batches, distil=distillation == "kl")
    # A shortcut's projection is used only by architectures that change the width there.
    assert got.keys() == expected.keys()
    assert len(got) > 0.9 * len(list(supernet.parameters()))
    for name, gradient in expected.items():
        assert torch.allclose(got[name], gradient, atol=1e-5), name
    for draw, quality in zip(sampler.draws[1:3], sampler.qualities, strict=True):
        with torch.no_grad():
            losses = [
                F.cross_entropy(supernet(b.view(draw.arch.resolution), draw.arch), b.labels) for b in batches
            ]
        assert quality == pytest.approx(-float(torch.stack(losses).mean()), abs=1e-5)


def test_subnets_count_by_their_size_and_the_time() -> None:
    """γ is 2 at the smallest and 0 at the largest, so half-way they weigh 1/4 and 1, in the mean 1."""
    supernet, images, labels = setup()
    batches, draws = cut(images, labels, 1), sandwich(0)
    weights = {"size_weights": {"smallest": 2.0, "largest": 0.0}}
    recipe = RECIPE.model_validate(RECIPE.model_dump() | weights)

    def gradient_of(draws: list[Draw], recipe: TrainRecipe) -> dict[str, torch.Tensor]:
        supernet.zero_grad()
        SupernetStep(supernet, recipe, Given(draws), HERE)(batches, [0], Moment((0, 0), 50, 100))
        return gradients(supernet)

    both, largest = gradient_of(draws, RECIPE), gradient_of(draws[:1], RECIPE)
    weighted = gradient_of(draws, recipe)
    for name, own in largest.items():
        of_smallest = both[name] - own
        assert torch.allclose(weighted[name], 1.6 * own + 0.4 * of_smallest, atol=1e-5), name
    one = gradient_of(draws[:1], recipe)
    assert all(torch.equal(one[name], own) for name, own in largest.items())


def test_a_strategy_learns_the_losses_and_the_norm_of_the_gradient() -> None:
    supernet, images, labels = setup()

    class Learning(Given):
        def learn(self, draws: Sequence[Draw], losses: Sequence[float], gradient_norm: float) -> None:
            self.learned = list(draws), list(losses), gradient_norm

    sampler = Learning(sandwich(1))
    report = SupernetStep(supernet, RECIPE, sampler, HERE)(cut(images, labels, 2), [0, 1], MOMENT)
    draws, losses, norm = sampler.learned
    assert draws == sampler.draws
    assert losses == pytest.approx([report.losses[draw.kind] for draw in draws])
    flat = torch.cat([gradient.flatten() for gradient in gradients(supernet).values()])
    assert norm == pytest.approx(float(flat.norm()), rel=1e-5)


def test_without_the_largest_everything_learns_from_the_labels() -> None:
    supernet, images, labels = setup()
    draws = [draw for draw in sandwich() if draw.kind == "sampled"]
    batches = cut(images, labels, 1)
    report = SupernetStep(supernet, RECIPE, Given(draws), HERE)(batches, [0], MOMENT)
    got = gradients(supernet)
    assert list(report.losses) == ["sampled"]
    for name, gradient in expected_gradients(supernet, draws, batches, distil=True).items():
        assert torch.allclose(got[name], gradient, atol=1e-5), name


def test_dropout_acts_on_the_largest_only_and_follows_seed_and_step() -> None:
    supernet, images, labels = setup()
    recipe = RECIPE.model_copy(update={"drop_rate": 0.5, "drop_path_rate": 0.5})
    step = SupernetStep(supernet, recipe, Given(sandwich(0)), HERE)

    def losses(moment: Moment, number: int = 0) -> dict[str, float]:
        return step(cut(images, labels, 1), [number], moment).losses

    first = losses(Moment((1, 0), 5, 100))
    assert first == losses(Moment((1, 0), 5, 100))
    others = [losses(Moment((2, 0), 5, 100)), losses(Moment((1, 1), 5, 100)), losses(Moment((1, 0), 6, 100))]
    others.append(losses(Moment((1, 0), 5, 100), number=1))
    assert len({first["largest"], *(other["largest"] for other in others)}) == 5
    # The smallest differs only through its teacher.
    alone = recipe.distillation.model_copy(update={"loss": "none"})
    no_teacher = recipe.model_copy(update={"distillation": alone})
    step = SupernetStep(supernet, no_teacher, Given(sandwich(0)), HERE)
    assert losses(Moment((1, 0), 5, 100))["smallest"] == losses(Moment((2, 0), 5, 100))["smallest"]


def test_bf16_computes_in_bf16_and_keeps_weights_and_gradients_in_fp32() -> None:
    supernet, images, labels = setup()
    draws, batches = sandwich(), cut(images, labels, 1)
    exact = SupernetStep(supernet, RECIPE, Given(draws), HERE)(batches, [0], MOMENT)
    plain = gradients(supernet)
    supernet.zero_grad()
    half = RECIPE.model_copy(update={"precision": "bf16"})
    rough = SupernetStep(supernet, half, Given(draws), HERE)(batches, [0], MOMENT)
    got = gradients(supernet)
    assert {p.dtype for p in supernet.parameters()} == {g.dtype for g in got.values()} == {torch.float32}
    assert rough.losses != exact.losses
    assert rough.losses["largest"] == pytest.approx(exact.losses["largest"], rel=0.05)
    flat = [torch.cat([g.flatten() for g in found.values()]) for found in (plain, got)]
    assert float(F.cosine_similarity(flat[0], flat[1], dim=0)) > 0.95


@pytest.mark.parametrize("where", ["largest", "smallest"])
def test_a_loss_that_is_not_finite_is_caught(where: str) -> None:
    supernet, images, labels = setup()
    if where == "largest":
        with torch.no_grad():
            supernet.classifier.weight[0, 0] = float("nan")
        draws = sandwich()
    else:
        draws = sandwich()[-1:]
        images[0, 0, 0, 0] = float("inf")
    with pytest.raises(DivergedError, match=f"the loss of the {where} subnet became nan"):
        SupernetStep(supernet, RECIPE, Given(draws), HERE)(cut(images, labels, 1), [0], MOMENT)


def test_a_gradient_that_is_not_finite_is_caught_although_the_losses_are() -> None:
    supernet, images, labels = setup()

    def poison(gradient: torch.Tensor) -> torch.Tensor:
        return torch.full_like(gradient, float("inf"))

    supernet.classifier.weight.register_hook(poison)
    with pytest.raises(DivergedError, match="a gradient became infinite"):
        SupernetStep(supernet, RECIPE, Given(sandwich()), HERE)(cut(images, labels, 1), [0], MOMENT)


def test_quality_is_asked_without_gradient() -> None:
    supernet, images, labels = setup()
    seen: list[Sequence[float]] = []

    class Asking(Sampler):
        def draw(self, moment: Moment, quality: Quality) -> list[Draw]:
            archs: list[Architecture] = [SPACE.largest, SPACE.smallest]
            seen.append(list(quality(archs)))
            assert all(p.grad is None for p in supernet.parameters())
            return [Draw(SPACE.smallest, "sampled")]

    report = SupernetStep(supernet, RECIPE, Asking(), HERE)(cut(images, labels, 1), [0], MOMENT)
    assert report.forwards == 3
    assert len(seen[0]) == 2
    # Of the first images of the mini-batch alone, where trials are of a part of it.
    supernet.zero_grad()
    some = TrainRecipe.model_validate({"sampling": {"trial_part": 0.25}})
    report = SupernetStep(supernet, some, Asking(), HERE)(cut(images, labels, 1), [0], MOMENT)
    assert report.forwards == 1.5
    tried = len(images) // 4
    expected = []
    for arch in (SPACE.largest, SPACE.smallest):
        with torch.no_grad():
            logits = supernet(cut(images, labels, 1)[0].view(arch.resolution)[:tried], arch)
        expected.append(-float(F.cross_entropy(logits, labels[:tried])))
    assert seen[1] == pytest.approx(expected)
