"""Scoring architectures: calibrated subnets on images of the search split, or a predictor's word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from anas_zoo.core.errors import CalibrationError
from anas_zoo.nets import Subnet, Supernet, calibrate_bn, logits_of, top1_pct
from anas_zoo.space import AccuracyPredictor, Architecture

ImagesAt = Callable[[int], Tensor]  # resolution -> preprocessed images (N, 3, R, R)

PREDICTIONS = 4096
MAX_ERROR_CHARS = 300


@dataclass(frozen=True)
class Score:
    """Top-1 in percent, or why it is missing."""

    top1_pct: float | None
    error: str | None = None


class Evaluator(Protocol):
    """What a search asks for accuracies.

    Attributes:
        images: how many images an architecture is scored on, all views counted; 0 for predictions.
        images_forwarded: how many are passed through it for that, those of its calibration included.
        at_once: how many architectures one call should be given.
    """

    images: int
    images_forwarded: int
    at_once: int

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        """One score for each of ``archs``, in their order."""
        ...


class SubnetEvaluator:
    """Scores subnets as they would be deployed: fixed, with calibrated batch norms.

    ``calibration`` gives images of the training split by resolution, ``images`` those of the search split;
    the test split never comes in here. ``labels`` (N,) are the classes of the search images.
    """

    at_once = 1

    def __init__(
        self,
        supernet: Supernet,
        *,
        calibration: ImagesAt,
        calibration_images: int,
        images: ImagesAt,
        labels: Tensor,
        batch_size: int,
    ) -> None:
        self.supernet = supernet
        self._calibration, self._images, self._labels = calibration, images, labels
        self._batch_size = batch_size
        self.images = len(labels)
        self.images_forwarded = len(labels) + calibration_images

    def calibrated(self, arch: Architecture) -> Subnet:
        """The subnet of ``arch``, calibrated the way that every evaluation is."""
        subnet = self.supernet.extract(arch)
        # As in training: depthwise networks run a third faster on a CPU with channels innermost.
        subnet.to(memory_format=torch.channels_last)
        calibrate_bn(subnet, self._calibration(arch.resolution).split(self._batch_size))
        return subnet

    def logits(self, arch: Architecture) -> Tensor:
        """Logits of the search images, (N, classes), by the calibrated subnet of ``arch``."""
        return logits_of(self.calibrated(arch), self._images(arch.resolution))

    def top1_pct(self, arch: Architecture) -> float:
        """Score one architecture, in percent."""
        return top1_pct(self.logits(arch), self._labels)

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        """Scores of ``archs``; an architecture that fails or runs out of memory is a score without top-1."""
        return [self._score(arch) for arch in archs]

    def _score(self, arch: Architecture) -> Score:
        try:
            return Score(self.top1_pct(arch))
        # torch tells of exhausted memory with a RuntimeError, on a CPU and on a GPU.
        except (RuntimeError, MemoryError, CalibrationError) as exc:
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return Score(None, f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:MAX_ERROR_CHARS])


class PredictorEvaluator:
    """Scores by a predictor: no weights, no images."""

    at_once = PREDICTIONS
    images = images_forwarded = 0

    def __init__(self, predictor: AccuracyPredictor) -> None:
        self._predictor = predictor

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        """Predicted scores of ``archs``."""
        return [Score(float(value)) for value in self._predictor(archs)]
