"""Some images of a source: how they are chosen, and as tensors, as a deployed model would see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import opaque, resized_and_cropped
from anas_zoo.core.progress import track
from anas_zoo.data.augmentation import AugmentationRecipe, augment, draw_affine
from anas_zoo.data.sources import ImageSource
from anas_zoo.data.unreadable import read_each
from anas_zoo.entry import Preprocessing

BATCH = 256  # images that are classified at a time
CALIBRATION, SCORING = 11, 12  # last words of the seeds by which images are chosen: what they are for
MAX_BYTES_IN_MEMORY = 4 * 2**30


def balanced_choice(
    indices: Sequence[int] | npt.NDArray[np.integer],
    labels: npt.NDArray[np.int64],
    count: int | None,
    seed: Sequence[int],
) -> list[int]:
    """At most ``count`` of ``indices``, the classes as even as can be, in an order that mixes them.

    Args:
        indices: numbers of images.
        labels: the class of every image of their source, by number.
        count: None for all; of a smaller count the images are the first ones of a larger one.
        seed: words that the choice follows from.
    """
    numbers = np.asarray(indices, dtype=np.int64)
    rng = np.random.default_rng(list(seed))
    shuffled = rng.permutation(len(numbers))
    by_class = shuffled[np.argsort(labels[numbers][shuffled], kind="stable")]
    _, starts, counts = np.unique(labels[numbers][by_class], return_index=True, return_counts=True)
    turn = np.arange(len(numbers)) - np.repeat(starts, counts)  # 0 for the first of its class
    order = by_class[np.lexsort((rng.permutation(len(numbers)), turn))]
    chosen: list[int] = numbers[order[:count]].tolist()
    return chosen


def eval_transform(preprocessing: Preprocessing, resolution: int) -> Callable[[Image.Image], Tensor]:
    """The evaluation transform: an image as it was read -> (3, R, R) float32, bit-equal to timm's."""
    crop = _crop(preprocessing, resolution)
    return lambda image: _normalised(crop(image)[None], preprocessing, resolution)[0]


def _crop(preprocessing: Preprocessing, resolution: int) -> Callable[[Image.Image], npt.NDArray[np.uint8]]:
    """The first half of it: an image as it was read -> the pixels (S, S, 3) that are shown of it."""
    short_side, side = preprocessing.sides(resolution)

    def cropped(image: Image.Image) -> npt.NDArray[np.uint8]:
        rgb = opaque(image, preprocessing.transparency)
        return np.array(resized_and_cropped(rgb, short_side, side, preprocessing.interpolation))

    return cropped


def _normalised(pixels: npt.NDArray[np.uint8], preprocessing: Preprocessing, resolution: int) -> Tensor:
    """The second half, for many at a time: (N, S, S, 3) -> (N, 3, R, R) float32."""
    values = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(torch.float32).div_(255)
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in (preprocessing.mean, preprocessing.std))
    values.sub_(mean).div_(std)
    if values.shape[-1] == resolution:
        return values
    size = (resolution, resolution)
    return F.interpolate(values, size=size, mode="bicubic", align_corners=False)


def eval_tensor(
    source: ImageSource, indices: Sequence[int], preprocessing: Preprocessing, resolution: int
) -> Tensor:
    """The images ``indices`` as a deployed model would see them, (N, 3, R, R) float32.

    Raises :class:`DataError` for more than fit in memory, and naming an image that cannot be read.
    """
    check_memory(len(indices), resolution, bytes_per_value=4)
    crop = _crop(preprocessing, resolution)
    what = f"preprocess {len(indices)} images at {resolution}"
    pixels = np.stack([crop(source.image(index)) for index in track(indices, what)])
    return _normalised(pixels, preprocessing, resolution)


def check_memory(count: int, side: int, bytes_per_value: int) -> None:
    """Raise :class:`DataError` when that many images would not fit the memory set aside for them."""
    needed = count * 3 * side * side * bytes_per_value
    if needed > MAX_BYTES_IN_MEMORY:
        raise DataError(
            f"{count} images at {side}×{side} need {needed / 2**30:.1f} GiB of memory, "
            f"the limit is {MAX_BYTES_IN_MEMORY / 2**30:.0f} GiB; use fewer images, or for training "
            "loader: stream"
        )


class ImagesAt:
    """The images ``indices`` of a source, preprocessed on demand at any resolution, kept where they fit."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self._made: dict[int, Tensor] = {}
        self.labels = torch.from_numpy(source.labels[list(indices)])

    @property
    def indices(self) -> Sequence[int]:
        """Their numbers in the source."""
        return self._indices

    @classmethod
    def readable(
        cls, source: ImageSource, indices: Sequence[int], resolution: int, what: str = "calibration images"
    ) -> Self:
        """Those of ``indices`` that can be read, made at ``resolution``; a note says how many cannot.

        Raises :class:`DataError` when none can be read.
        """
        check_memory(len(indices), resolution, bytes_per_value=4)
        crop = _crop(source.preprocessing, resolution)
        work = f"preprocess {{}} at {resolution}"
        found = read_each(lambda index: crop(source.image(index)), indices, what, work=work)
        images = cls(source, list(found))
        pixels = np.stack(list(found.values()))
        images._made[resolution] = _normalised(pixels, source.preprocessing, resolution)
        return images

    def __call__(self, resolution: int) -> Tensor:
        """(N, 3, R, R) float32."""
        if resolution not in self._made:
            source = self._source
            images = eval_tensor(source, self._indices, source.preprocessing, resolution)
            _keep(self._made, resolution, images)
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


def _keep(made: dict[int, Tensor], resolution: int, images: Tensor) -> None:
    """Add images to those ``made``; where they do not all fit in memory, those made first are dropped.

    Spaces may have 25 resolutions, and a search scores at all of them.
    """
    made[resolution] = images
    while len(made) > 1 and sum(kept.nbytes for kept in made.values()) > MAX_BYTES_IN_MEMORY:
        del made[next(iter(made))]


def images_in_memory(side: int) -> int:
    """How many images (3, side, side) float32 the memory set aside for them holds."""
    return MAX_BYTES_IN_MEMORY // (3 * side * side * 4)


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
            _keep(self._made, resolution, made.contiguous(memory_format=torch.channels_last))
        return self._made[resolution]
