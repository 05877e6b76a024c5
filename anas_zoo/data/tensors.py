"""Images as tensors: preprocessed ones for measuring, and a training set that is held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anas_zoo.data.preprocessing import Preprocessing
from anas_zoo.data.sources import ImageSource
from anas_zoo.errors import DataError
from anas_zoo.progress import track

__all__ = ["TrainImages", "eval_tensor"]

MAX_BYTES_IN_MEMORY = 4 * 2**30


def eval_tensor(
    source: ImageSource, indices: Sequence[int], preprocessing: Preprocessing, resolution: int
) -> Tensor:
    """The images ``indices`` as a deployed model would see them, (N, 3, R, R) float32."""
    _check_memory(len(indices), resolution, bytes_per_value=4)
    transform = preprocessing.transform(resolution)
    what = f"preprocess {len(indices)} images at {resolution}"
    return torch.stack([transform(source.image(index)) for index in track(indices, what)])


def _check_memory(count: int, side: int, bytes_per_value: int) -> None:
    needed = count * 3 * side * side * bytes_per_value
    if needed > MAX_BYTES_IN_MEMORY:
        raise DataError(
            f"{count} images at {side}×{side} need {needed / 2**30:.1f} GiB of memory, "
            f"the limit is {MAX_BYTES_IN_MEMORY / 2**30:.0f} GiB; use fewer images"
        )


class TrainImages:
    """Training images in memory as bytes, served in shuffled batches.

    Args:
        source: where the images come from.
        indices: the training part of the split.
        preprocessing: its mean and std normalise the batches.
        side: side at which the images are kept; a larger one is resized and centre-cropped to it once,
            smaller images keep their own size if all have the same.
    """

    def __init__(
        self, source: ImageSource, indices: Sequence[int], preprocessing: Preprocessing, side: int
    ) -> None:
        _check_memory(len(indices), side, bytes_per_value=1)
        arrays = [
            np.asarray(_fit(source.image(index), side))
            for index in track(indices, f"read {len(indices)} training images")
        ]
        if len({array.shape for array in arrays}) > 1:  # small ones of several sizes: all to one
            arrays = [np.asarray(Image.fromarray(a).resize((side, side))) for a in arrays]
        self._pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
        self._labels = torch.from_numpy(source.labels[list(indices)])
        self._mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)

    def __len__(self) -> int:
        return len(self._pixels)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in random order: (N, 3, side, side) normalised float32 and (N,) int64.

        The last, smaller batch is left out, as batch norm wants batches of one size; a training set
        smaller than one batch is one batch.
        """
        order = torch.randperm(len(self), generator=generator)
        size = min(batch_size, len(self))
        for start in range(0, len(self) - size + 1, size):
            rows = order[start : start + size]
            pixels = self._pixels[rows].to(torch.float32) / 255.0
            yield (pixels - self._mean) / self._std, self._labels[rows]

    def batches_per_epoch(self, batch_size: int) -> int:
        """How many batches one pass has."""
        return len(self) // min(batch_size, len(self))


def _fit(image: Image.Image, side: int) -> Image.Image:
    """``image`` with its short side resized to ``side`` and the middle cut out, if it is larger."""
    width, height = image.size
    if (width, height) == (side, side) or max(width, height) <= side:
        return image
    scale = side / min(width, height)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return image.crop((left, top, left + side, top + side))
