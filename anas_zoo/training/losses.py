"""Losses of a training step, each a mean over the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anas_zoo.training.recipe import DistillationRecipe, SizeWeights


def label_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with label smoothing: (N, C), (N,) -> scalar."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def kl_loss(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL divergence from the teacher's soft predictions: two (N, C) -> scalar.

    In-place distillation: the teacher is the largest subnet of the same step, without gradient.
    """
    student = F.log_softmax(logits.float(), dim=1)
    teacher = F.log_softmax(teacher_logits.detach().float(), dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def alpha_divergence(logits: Tensor, teacher_logits: Tensor, alpha: float, clip: float) -> Tensor:
    """D_α(p ‖ q) of each image, teacher p, student q, importance weights clipped: two (N, C) -> (N,).

    D_α = (Σ q·(p/q)^α − 1) / (α(α − 1)) with the limits KL(p ‖ q) at α = 1 and KL(q ‖ p) at α = 0; its
    gradient is −(1/α) Σ q·(p/q)^α·∇log q. In both, the importance weight (p/q)^α is at most ``clip``
    and carries no gradient of its own (AlphaNet, arXiv:2102.07954).
    """
    log_q = F.log_softmax(logits.float(), dim=1)
    log_p = F.log_softmax(teacher_logits.detach().float(), dim=1)
    q, log_ratio = log_q.exp(), log_p - log_q.detach()
    if abs(alpha) < 1e-3:
        return (q * (log_q - log_p)).sum(1)
    # Bounded before exp, so that a weight that would overflow is clipped like any other.
    bound = torch.log(torch.tensor(clip, device=logits.device))
    log_weight = torch.minimum(alpha * log_ratio, bound)
    weight = log_weight.exp()
    slope = -(weight * q).sum(1) / alpha  # its gradient is the divergence's
    if abs(alpha - 1) < 1e-3:
        value = (q * weight * log_weight).sum(1)
    else:
        value = ((q * weight).sum(1) - 1) / (alpha * (alpha - 1))
    return slope + (value - slope).detach()


def distillation_loss(logits: Tensor, teacher_logits: Tensor, recipe: DistillationRecipe) -> Tensor:
    """What the recipe says the student loses: two (N, C) -> scalar.

    Of the α-divergences the larger one of each image: a small α punishes a student that is sure where the
    teacher is not, a large one a student that misses what the teacher sees (AlphaNet).
    """
    if recipe.loss != "alpha":
        return kl_loss(logits, teacher_logits)
    alphas = (recipe.alpha_min, recipe.alpha_max)
    low, high = (alpha_divergence(logits, teacher_logits, alpha, recipe.clip) for alpha in alphas)
    return torch.maximum(low, high).mean()


def size_weights(places: Sequence[float], done: float, recipe: SizeWeights) -> list[float]:
    """What the losses of a step's subnets are multiplied with, in the mean 1.

    ``places`` are theirs between the smallest (0) and the largest (1), by the logarithm of their parameters;
    ``done`` is the part of the training before this step.
    """
    exponents = [recipe.smallest + place * (recipe.largest - recipe.smallest) for place in places]
    weights = [(1 - done) ** exponent for exponent in exponents]
    return [weight * len(weights) / sum(weights) for weight in weights]
