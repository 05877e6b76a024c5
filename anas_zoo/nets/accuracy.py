"""Accuracy of a network on images: the one definition that search, training and reports use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from anas_zoo.core.geometry import Mode
from anas_zoo.entry import Accuracy, Mistake

BATCH = 256  # images that are classified at a time
TOP5 = 5
ECE_BINS = 15  # as in the paper
MOST_MISTAKES = 16  # that a report keeps
MIN_IMAGES_PER_CLASS = 2  # on average; with fewer a confusion matrix is a list of the images


@torch.no_grad()
def logits_of(network: nn.Module, images: Tensor | Iterable[Tensor], batch_size: int = BATCH) -> Tensor:
    """Logits of ``images`` (N, 3, R, R), or of such parts, in evaluation mode -> (N, classes) on the CPU."""
    network.eval()
    device = next(network.parameters()).device
    parts = images.split(batch_size) if isinstance(images, Tensor) else images
    return torch.cat([network(part.to(device)).cpu() for part in parts])


def _ranked(logits: Tensor) -> Tensor:
    """Classes of (N, classes), the likeliest first; of equal ones the first one."""
    return logits.argsort(dim=1, descending=True, stable=True)


def top1_pct(logits: Tensor, labels: Tensor) -> float:
    """Top-1 in percent of (N, classes) against (N,)."""
    return 100.0 * int((_ranked(logits)[:, 0] == labels).sum()) / len(labels)


@dataclass(frozen=True)
class Predictions:
    """What a network says of N images, without their logits, which of 1000 classes take much memory.

    Attributes:
        labels: their classes, (N,) int64.
        predicted: the class that the network names first, (N,) int64.
        confidence: its softmax probability, (N,) float64.
        in_top5: whether the image's class is among the five likeliest, (N,) bool.
    """

    labels: Tensor
    predicted: Tensor
    confidence: Tensor
    in_top5: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Self:
        """Those of ``logits`` (N, classes) of images of the classes ``labels`` (N,)."""
        ranked = _ranked(logits)
        shares = logits.double().softmax(dim=1).nan_to_num(0.0)  # a broken network is sure of nothing
        confidence = shares.gather(1, ranked[:, :1])[:, 0]
        return cls(labels, ranked[:, 0], confidence, (ranked[:, :TOP5] == labels[:, None]).any(dim=1))

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Self:
        """Those of all ``parts``, in their order."""
        columns = ("labels", "predicted", "confidence", "in_top5")
        return cls(*(torch.cat([getattr(part, column) for part in parts]) for column in columns))

    @property
    def ece_pct(self) -> float:
        """Expected calibration error in percent: the mean distance of confidence and accuracy.

        Images are put into 15 bins of confidence of equal width, (0, 1/15], (1/15, 2/15] and so on; the
        distance of the bin's mean confidence from its accuracy is weighted by its images (Guo et al., 2017,
        arXiv:1706.04599, equation 3).
        """
        correct = (self.predicted == self.labels).double()
        bins = ((self.confidence * ECE_BINS).ceil().long() - 1).clamp(0, ECE_BINS - 1)
        surplus = torch.zeros(ECE_BINS, dtype=torch.float64).index_add(0, bins, self.confidence - correct)
        return min(100.0, 100.0 * float(surplus.abs().sum()) / len(self.labels))

    def confusion(self) -> dict[int, dict[int, int]]:
        """How many images of a class (outer key) were taken for a class (inner key); no empty cells."""
        cells, counts = torch.stack([self.labels, self.predicted]).unique(dim=1, return_counts=True)
        found: dict[int, dict[int, int]] = {}
        for label, predicted, count in zip(*cells.tolist(), counts.tolist(), strict=True):
            found.setdefault(label, {})[predicted] = count
        return found

    def mistakes(self, images: Sequence[int], most: int = MOST_MISTAKES) -> tuple[Mistake, ...]:
        """The ``most`` images that are taken for another class with the highest confidence, highest first.

        ``images`` are the numbers of all N images in their source.
        """
        wrong = (self.predicted != self.labels).nonzero()[:, 0]
        order = self.confidence[wrong].argsort(descending=True, stable=True)[:most]
        return tuple(
            Mistake(
                image=int(images[place]),
                label=int(self.labels[place]),
                predicted=int(self.predicted[place]),
                confidence_pct=min(100.0, 100.0 * float(self.confidence[place])),
            )
            for place in wrong[order].tolist()
        )

    def accuracy(
        self,
        images: Sequence[int],
        *,
        num_classes: int,
        source: str,
        split: str,
        preprocessing: Mode,
        top5: bool = False,
    ) -> Accuracy:
        """The record of all that.

        Args:
            images: the numbers of the N images in their source.
            num_classes: of the network.
            source: which images, for people.
            split: the part of them.
            preprocessing: the mode in which they were prepared.
            top5: whether to state top-5.
        """
        count = len(self.labels)
        return Accuracy(
            source=source,
            split=split,
            images=count,
            top1_pct=100.0 * int((self.predicted == self.labels).sum()) / count,
            top5_pct=100.0 * int(self.in_top5.sum()) / count if top5 else None,
            preprocessing=preprocessing,
            ece_pct=self.ece_pct,
            confusion=self.confusion() if count >= MIN_IMAGES_PER_CLASS * num_classes else None,
            mistakes=self.mistakes(images),
        )
