"""Training images that are held in memory as bytes and augmented as tensors: for small collections."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import opaque, resized_and_cropped
from anas_zoo.core.progress import track
from anas_zoo.data.augmentation import AugmentationRecipe, augment, draw_affine
from anas_zoo.data.batches import AUGMENTATION, Batch, Share, epoch_order, seeded
from anas_zoo.data.chosen_images import check_memory
from anas_zoo.data.sources import ImageSource
from anas_zoo.data.unreadable import check_unreadable


class MemoryImages:
    """Training images in memory as bytes, served in shuffled, augmented batches (:class:`TrainData`).

    Each image is kept as its middle square. A view that does not stray shows the part of it that measuring
    shows at that resolution, so that a network is trained on what it is measured on; one that strays may
    show what lies around. An image that cannot be read is left out, up to ``max_unreadable`` of them.

    Args:
        source: where the images come from; its preprocessing says which part is shown and normalises it.
        side: of the squares in pixels, to which images are resized; square ones that are smaller and all of
            one size keep it.
        share: the part of each batch that this process gets. A training set smaller than one batch is
            one batch, less the few images that its equal parts leave over.
        device: where views are rendered.
    """

    def __init__(
        self,
        source: ImageSource,
        indices: Sequence[int],
        *,
        side: int,
        share: Share,
        augmentation: AugmentationRecipe,
        device: torch.device | str = "cpu",
        max_unreadable: int = 0,
    ) -> None:
        share.check()
        check_memory(len(indices), side, bytes_per_value=1)
        arrays, kept, self._skipped = [], [], list[str]()
        for index in track(indices, f"read {len(indices)} training images"):
            try:
                image = opaque(source.image(index), source.preprocessing.transparency)
                arrays.append(np.asarray(_square(image, side)))
                kept.append(index)
            except DataError as exc:
                self._skipped.append(str(exc))
                check_unreadable(self._skipped, max_unreadable)
        if not arrays:
            last = f"; the last: {self._skipped[-1]}" if self._skipped else ""
            raise DataError(f"none of {len(indices)} training images can be read{last}")
        if len({array.shape for array in arrays}) > 1:  # squares of several sizes: all to one
            arrays = [np.asarray(Image.fromarray(a).resize((side, side))) for a in arrays]
        self._device = torch.device(device)
        pixels = np.empty((len(arrays), 3, *arrays[0].shape[:2]), np.uint8)
        self._pixels = torch.from_numpy(np.stack([array.transpose(2, 0, 1) for array in arrays], out=pixels))
        self._labels = torch.from_numpy(source.labels[kept])
        self._mean = torch.tensor(source.preprocessing.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(source.preprocessing.std, device=device).view(1, 3, 1, 1)
        self._augmentation, self._visible = augmentation, source.preprocessing.visible
        self._share = _of_small_set(share, len(arrays))

    def __len__(self) -> int:
        return len(self._pixels)

    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass; the last, smaller batch is left out, as batch norm wants one size."""
        return len(self) // self._share.batch_size

    def skipped(self) -> tuple[str, ...]:
        """Why each image that was left out could not be read."""
        return tuple(self._skipped)

    def epoch(self, seed: Sequence[int], epoch: int, *, first_step: int = 0) -> Iterator[list[Batch]]:
        """This process' micro-batches of each step of one pass (see :class:`TrainData`)."""
        order, size = epoch_order(len(self), seed, epoch), self._share.batch_size
        for step in range(first_step, self.steps_per_epoch()):
            rows = order[step * size : (step + 1) * size]
            # Drawn for the whole batch, so that it does not matter how many processes share it.
            affine = draw_affine(self._augmentation, size, seeded(*seed, AUGMENTATION, epoch, step))
            yield [self._batch(rows[part], affine[part]) for _, part in self._share.micro_batches()]

    def _batch(self, rows: Tensor, affine: Tensor) -> Batch:
        pixels = self._pixels[rows].to(self._device, torch.float32) / 255.0
        images, maps = (pixels - self._mean) / self._std, affine.to(self._device)

        @functools.cache
        def view(resolution: int) -> Tensor:
            rendered = augment(images, maps * self._visible(resolution), resolution)
            # On CPU and GPU alike, small depthwise networks run faster with channels innermost.
            return rendered.contiguous(memory_format=torch.channels_last)

        return Batch(view, self._labels[rows].to(self._device), len(rows))


def _of_small_set(share: Share, images: int) -> Share:
    """``share`` of batches that ``images`` images can fill."""
    parts = share.processes * share.accumulation
    if images < 2 * parts:
        raise DataError(
            f"too few training images for {share.processes} processes × {share.accumulation} micro-batches "
            f"of at least 2 images each: {images} can be read, {2 * parts} are needed"
        )
    return replace(share, batch_size=min(share.batch_size, images // parts * parts))


def _square(image: Image.Image, side: int) -> Image.Image:
    """The middle square of ``image``, ``side`` pixels a side; a square that is smaller is left as it is."""
    if image.width == image.height <= side:
        return image
    return resized_and_cropped(image, side, side, "bicubic")
