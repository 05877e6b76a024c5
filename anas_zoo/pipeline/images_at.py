"""Some images of a source, preprocessed on demand at any resolution and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from anas_zoo.data import (
    AugmentationRecipe,
    ImageSource,
    augment,
    balanced_choice,
    draw_affine,
    eval_tensor,
)
from anas_zoo.data.tensors import images_in_memory

__all__ = ["CALIBRATION", "SCORING", "ImagesAt", "ViewsAt"]

BATCH = 256  # images that are classified at a time
CALIBRATION, SCORING = 11, 12  # last words of the seeds by which images are chosen: what they are for


class ImagesAt:
    """Some images of a source, preprocessed on demand at any resolution and kept."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self._made: dict[int, Tensor] = {}
        self.labels = torch.from_numpy(source.labels[list(indices)])

    def __call__(self, resolution: int) -> Tensor:
        """(N, 3, R, R) float32."""
        if resolution not in self._made:
            source = self._source
            self._made[resolution] = eval_tensor(source, self._indices, source.preprocessing, resolution)
        return self._made[resolution]

    def batches(self, resolution: int) -> Iterator[Tensor]:
        """The same images in parts (n, 3, R, R) float32; more than fit in memory are not kept."""
        if len(self._indices) <= images_in_memory(resolution):
            yield from self(resolution).split(BATCH)
            return
        for start in range(0, len(self._indices), BATCH):
            part = self._indices[start : start + BATCH]
            yield eval_tensor(self._source, part, self._source.preprocessing, resolution)

    def that_fit(self, resolution: int) -> ImagesAt:
        """These images, or as many of them, balanced over the classes, as fit in memory at a resolution."""
        limit = images_in_memory(resolution)
        return self if len(self._indices) <= limit else self.some(limit)

    def some(self, count: int) -> ImagesAt:
        """At most ``count`` of these images, balanced over the classes: the same ones every time."""
        chosen = balanced_choice(self._indices, self._source.labels, count, [0, SCORING])
        return ImagesAt(self._source, chosen)


class ViewsAt:
    """Images as they are and in further fixed augmented views, at any resolution.

    Every resolution gets the same views: they are rendered from the images at their largest one.
    """

    def __init__(
        self, images: ImagesAt, largest: int, augmentation: AugmentationRecipe, views: int, seed: int
    ) -> None:
        self._images, self._largest = images, largest
        generator = torch.Generator().manual_seed(seed)
        always = augmentation.model_copy(update={"probability": 1.0})
        count = len(images.labels)
        self._maps = [draw_affine(always, count, generator) for _ in range(views - 1)]
        self._made: dict[int, Tensor] = {}
        self.labels = images.labels.repeat(views)

    def __call__(self, resolution: int) -> Tensor:
        """(views · N, 3, R, R) float32; the first N are the images themselves."""
        if resolution not in self._made:
            base = self._images(self._largest)
            further = [augment(base, affine, resolution) for affine in self._maps]
            made = torch.cat([self._images(resolution), *further])
            self._made[resolution] = made.contiguous(memory_format=torch.channels_last)
        return self._made[resolution]
