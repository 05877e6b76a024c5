"""Accuracy of a network on images: the one definition that search, training and reports use."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BATCH = 256  # images that are classified at a time


@torch.no_grad()
def logits_of(network: nn.Module, images: Tensor | Iterable[Tensor], batch_size: int = BATCH) -> Tensor:
    """Logits of ``images`` (N, 3, R, R), or of such parts, in evaluation mode -> (N, classes) on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    parts = images.split(batch_size) if isinstance(images, Tensor) else images
    return torch.cat([network(part.to(device)).cpu() for part in parts])


def top_k_hits(logits: Tensor, labels: Tensor, k: int = 1) -> int:
    """Rows of (N, classes) whose label (N,) is among their ``k`` largest; of equal ones the first counts."""
    best = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    return int((best == labels[:, None]).any(dim=1).sum())


def top1_pct(logits: Tensor, labels: Tensor) -> float:
    """Top-1 in percent of (N, classes) against (N,)."""
    return 100.0 * top_k_hits(logits, labels) / len(labels)
