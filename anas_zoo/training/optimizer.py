"""How gradients move weights: SGD, or Muon, which makes the step of every convolution orthogonal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from anas_zoo.training.recipe import TrainRecipe

# Of the polynomial a·s + b·s³ + c·s⁵, applied to the singular values of a matrix five times over: it brings
# all between 0.003 and 1 to 0.7 to 1.2. The numbers are those of Jordan et al.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
# Rate of what is not orthogonal (batch norms, classifier, depthwise convolutions) over that of what is.
OTHERS_RATE = 10.0


class Muon(torch.optim.SGD):
    """SGD with Nesterov momentum, by which convolutions move along orthogonal matrices and keep their norm.

    In groups that are ``orthogonal`` the weight is taken as a matrix (out, in · k · k). It moves along the
    semi-orthogonal matrix that is nearest to the momentum, so in all directions equally far, however unequal
    the gradients are (Jordan et al., Muon, 2024, kellerjordan.github.io/posts/muon); and its norm is put back
    to √out before each step, as behind it there is a batch norm, to which the norm means nothing but a
    smaller step (Karras et al., arXiv:2312.02696, section 2.3). All other groups are SGD's.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; the gradients of orthogonal groups are used up. ``closure`` is SGD's and not used."""
        for group in self.param_groups:
            if not group["orthogonal"]:
                continue
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                moved = self._along_momentum(weight, group["momentum"])
                rows = len(weight)
                weight.mul_(rows**0.5 / weight.norm().clamp_min(1e-12))
                weight.add_(orthogonal(moved.reshape(rows, -1)).reshape(weight.shape), alpha=-group["lr"])
                weight.grad = None  # SGD passes it by
        super().step()

    def _along_momentum(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient of ``weight`` with Nesterov momentum, which is kept in the state as SGD keeps it."""
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = state["momentum_buffer"] = torch.zeros_like(weight)
        buffer.mul_(momentum).add_(gradient)
        return gradient.add(buffer, alpha=momentum)


def orthogonal(matrix: Tensor) -> Tensor:
    """The semi-orthogonal matrix nearest to ``matrix`` (rows, columns), roughly: its singular values are
    brought near 1, and near √(rows / columns) where there are more rows.

    Every step of the iteration multiplies X by a polynomial of X·Xᵀ, which is small where X is of a
    convolution. So the steps are taken there, and their product is multiplied with X once: a third of the
    multiplications.
    """
    rows, columns = matrix.shape
    tall = rows > columns
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp_min(1e-12)
    square = x @ x.T
    product = factor = _factor(square)
    for _ in range(NEWTON_SCHULZ_STEPS - 1):
        square = square @ factor @ factor
        factor = _factor(square)
        product = factor @ product
    found: Tensor = product @ x
    return found.T * math.sqrt(rows / columns) if tall else found


def _factor(square: Tensor) -> Tensor:
    """What one step multiplies X with, given ``square``, X·Xᵀ."""
    a, b, c = NEWTON_SCHULZ
    found: Tensor = torch.addmm(square, square, square, beta=b, alpha=c)
    found.diagonal().add_(a)
    return found


def make_optimizer(model: nn.Module, recipe: TrainRecipe) -> torch.optim.SGD:
    """The recipe's optimizer, with Nesterov momentum; weight decay on convolutions and linear layers only.

    Each group has a ``rate_factor``, of the classifier's parameters that of the recipe. With ``muon``,
    convolutions followed by a batch norm are orthogonal, unless they are depthwise, and not decayed; the
    others' factor is :data:`OTHERS_RATE` times as high.
    """
    muon = recipe.optimizer == "muon"
    turned = {id(weight) for weight in _normalised_convolutions(model)} if muon else set()
    # Kernel transforms begin as the identity, and nothing says that they should shrink.
    transforms = {id(p) for name, p in model.named_parameters() if ".transform." in name}
    groups: list[dict[str, Any]] = []
    if turned:
        weights = [p for p in model.parameters() if id(p) in turned]
        groups.append({"params": weights, "weight_decay": 0.0, "rate_factor": 1.0, "orthogonal": True})
    for factor, every in _by_rate(model, recipe).items():
        parameters = [p for p in every if id(p) not in turned]
        own = {"rate_factor": factor * (OTHERS_RATE if muon else 1.0), "orthogonal": False}
        decayed = [p for p in parameters if p.ndim > 1 and id(p) not in transforms]
        others = [p for p in parameters if p.ndim <= 1 or id(p) in transforms]
        groups.append({"params": decayed, "weight_decay": recipe.weight_decay, **own})
        groups.append({"params": others, "weight_decay": 0.0, **own})
    kind = Muon if muon else torch.optim.SGD
    return kind(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        foreach=True,
    )


def _normalised_convolutions(model: nn.Module) -> Iterator[Tensor]:
    """Weights of the convolutions that are followed by a batch norm and see more than one channel."""
    for module in model.modules():
        conv, norm = getattr(module, "conv", None), getattr(module, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and conv.groups == 1:
            yield conv.weight


def _by_rate(model: nn.Module, recipe: TrainRecipe) -> dict[float, list[nn.Parameter]]:
    """The parameters by what their learning rate is multiplied with."""
    found: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = recipe.classifier_rate_factor if name.startswith("classifier.") else 1.0
        found.setdefault(factor, []).append(parameter)
    return found
