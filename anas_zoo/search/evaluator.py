"""Scoring one architecture: extract, calibrate batch norm on training images, classify the search split."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.search.evaluation import Evaluation
from anas_zoo.space import Architecture

__all__ = ["SubnetEvaluator", "accuracy_pct", "logits_of"]

ImagesAt = Callable[[int], Tensor]  # resolution -> preprocessed images (N, 3, R, R)

EVAL_BATCH = 256


@torch.no_grad()
def logits_of(
    subnet: torch.nn.Module, images: Tensor | Iterable[Tensor], batch_size: int = EVAL_BATCH
) -> Tensor:
    """Logits of ``images`` (N, 3, R, R), or of such parts, in evaluation mode -> (N, classes) on CPU."""
    subnet.eval()
    device = next(subnet.parameters()).device
    parts = images.split(batch_size) if isinstance(images, Tensor) else images
    return torch.cat([subnet(part.to(device)).cpu() for part in parts])


def accuracy_pct(logits: Tensor, labels: Tensor) -> float:
    """Top-1 in percent of (N, classes) against (N,)."""
    return 100.0 * int((logits.argmax(1) == labels).sum()) / len(labels)


class SubnetEvaluator:
    """Scores subnets as they would be deployed: fixed, with calibrated batch norms.

    Args:
        supernet: the trained weights.
        calibration: images of the training split, by resolution.
        images: images of the search split, by resolution. The test split never comes in here.
        labels: classes of the search images, (N,).
        batch_size: images per calibration batch.
    """

    def __init__(
        self,
        supernet: Supernet,
        *,
        calibration: ImagesAt,
        images: ImagesAt,
        labels: Tensor,
        batch_size: int,
    ) -> None:
        self.supernet = supernet
        self._calibration, self._images, self._labels = calibration, images, labels
        self._batch_size = batch_size

    def calibrated(self, arch: Architecture) -> Subnet:
        """The subnet of ``arch``, calibrated the way that every evaluation is."""
        subnet = self.supernet.extract(arch)
        # As in training: depthwise networks run a third faster on a CPU with channels innermost.
        subnet.to(memory_format=torch.channels_last)
        calibrate_bn(subnet, self._calibration(arch.resolution).split(self._batch_size))
        return subnet

    def __call__(self, arch: Architecture) -> Evaluation:
        """Score one architecture."""
        space, classes = self.supernet.space, self.supernet.num_classes
        logits = logits_of(self.calibrated(arch), self._images(arch.resolution))
        return Evaluation(
            arch=arch,
            macs=int(space.macs([arch], classes)[0]),
            params=int(space.params([arch], classes)[0]),
            top1_pct=accuracy_pct(logits, self._labels),
            images=len(self._labels),
        )
