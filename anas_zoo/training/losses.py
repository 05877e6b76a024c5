"""Losses of a training step, each a mean over the batch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["distillation_loss", "label_loss"]


def label_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with label smoothing: (N, C), (N,) -> scalar."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def distillation_loss(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """KL divergence from the teacher's soft predictions: two (N, C) -> scalar.

    In-place distillation: the teacher is the largest subnet of the same step, without gradient.
    """
    student = F.log_softmax(logits, dim=1)
    teacher = F.log_softmax(teacher_logits.detach(), dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
