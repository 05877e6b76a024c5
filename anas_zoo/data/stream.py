"""Training images that are read from where they are, by worker processes: for collections of any size."""

from __future__ import annotations

import functools
import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.context import BaseContext
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from anas_zoo.core.errors import DataError
from anas_zoo.core.images import opaque
from anas_zoo.data.augmentation import RandomViews, StreamRecipe
from anas_zoo.data.batches import AUGMENTATION, Batch, Share, epoch_order
from anas_zoo.data.sources import ImageSource
from anas_zoo.data.unreadable import check_unreadable

NEIGHBOURS = 20  # that many images are tried for one place in a batch
PREFETCHED = 4  # batches that each worker makes ahead


class StreamedImages:
    """Training images served in shuffled, augmented batches (:class:`anas_zoo.data.TrainData`).

    An image that cannot be read is left out, the next one takes its place, up to ``max_unreadable`` of them.
    Each view depends on the seed, the pass and the image alone, not on which process made it. Batches are
    normalised, as the source's preprocessing says, and resized on ``device``.

    Workers are started anew for each pass, clean of the threads and GPU state of this process; a script that
    asks for some must keep its own work under ``if __name__ == "__main__":``, as for any multiprocessing.
    """

    def __init__(
        self,
        source: ImageSource,
        indices: Sequence[int],
        recipe: StreamRecipe,
        *,
        share: Share,
        device: torch.device | str = "cpu",
        max_unreadable: int = 0,
    ) -> None:
        share.check()
        if len(indices) < share.batch_size:
            raise DataError(
                f"{len(indices)} training images are fewer than one batch of {share.batch_size}; "
                "give a smaller batch_size"
            )
        self._source, self._recipe, self._share = source, recipe, share
        self._indices: npt.NDArray[np.int64] = np.asarray(indices, dtype=np.int64)
        self._device, self._max_unreadable = torch.device(device), max_unreadable
        self._unreadable: dict[int, str] = {}
        mean, std = source.preprocessing.mean, source.preprocessing.std
        self._mean = torch.tensor(mean, device=self._device).view(1, 3, 1, 1) * 255.0
        self._std = torch.tensor(std, device=self._device).view(1, 3, 1, 1) * 255.0

    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass; the last, smaller batch is left out, as batch norm wants one size."""
        return len(self._indices) // self._share.batch_size

    def skipped(self) -> tuple[str, ...]:
        """Why each image that was left out could not be read."""
        return tuple(self._unreadable.values())

    def epoch(self, seed: Sequence[int], epoch: int, *, first_step: int = 0) -> Iterator[list[Batch]]:
        """This process' micro-batches of each step of one pass (see :class:`TrainData`).

        Workers end with the iterator. Raises :class:`DataError` for more unreadable images than may be
        skipped, and for a worker that was killed.
        """
        order, size = epoch_order(len(self._indices), seed, epoch).numpy(), self._share.batch_size
        parts = [part for _, part in self._share.micro_batches()]
        places = [
            order[step * size : (step + 1) * size][part].tolist()
            for step in range(first_step, self.steps_per_epoch())
            for part in parts
        ]
        views = _Views(self._source, self._indices, RandomViews(self._recipe), (*seed, AUGMENTATION, epoch))
        batches: list[Batch] = []
        for made in self._made(views, places):
            self._unreadable |= made.unreadable
            check_unreadable(self.skipped(), self._max_unreadable)
            if made.pixels is None:
                reason = next(reversed(made.unreadable.values()))
                tried = min(NEIGHBOURS, len(self._indices))
                raise DataError(f"{tried} training images in a row cannot be read; the last: {reason}")
            batches.append(self._batch(made.pixels, made.labels))
            if len(batches) == len(parts):
                yield batches
                batches = []

    def _made(self, views: _Views, places: list[list[int]]) -> Iterator[_Made]:
        """What the workers make of each list of places, in order."""
        try:
            yield from self._start(views, places)
            return
        except (RuntimeError, OSError, EOFError) as exc:
            if not self._recipe.workers or not _of_a_lost_worker(exc):
                raise
        # Raised here, as the error above would hold what keeps the other workers alive.
        raise DataError(
            "a worker that reads training images was killed, perhaps for lack of memory; use fewer than "
            f"{self._recipe.workers} (train.stream.workers), or give a container more shared memory "
            "(--shm-size)"
        )

    def _start(self, views: _Views, places: list[list[int]]) -> Iterator[_Made]:
        workers = self._recipe.workers
        with warnings.catch_warnings():
            # More workers than cores are a choice: they help where reading is slow.
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            try:
                loader: DataLoader[_Made] = DataLoader(
                    views,
                    batch_sampler=places,
                    num_workers=workers,
                    multiprocessing_context=_clean_processes() if workers else None,
                    collate_fn=_collate,
                    pin_memory=self._device.type == "cuda",
                    prefetch_factor=PREFETCHED if workers else None,
                    generator=torch.Generator().manual_seed(0),  # else torch draws from its global one
                )
                return iter(loader)
            except (OSError, EOFError) as exc:
                raise DataError(
                    f"the workers that read training images cannot be started ({type(exc).__name__}: {exc}); "
                    "a script needs if __name__ == '__main__': around its work, or train.stream.workers: 0"
                ) from exc

    def _batch(self, pixels: Tensor, labels: Tensor) -> Batch:
        # Bytes are reordered faster than floats.
        values = pixels.to(self._device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        images = values.float().sub_(self._mean).div_(self._std)

        @functools.cache
        def view(resolution: int) -> Tensor:
            if resolution == images.shape[-1]:
                return images
            # As the authors' network does with its 224 crop.
            size = (resolution, resolution)
            resized = F.interpolate(images, size=size, mode="bicubic", align_corners=False)
            return resized.contiguous(memory_format=torch.channels_last)

        return Batch(view, labels.to(self._device, non_blocking=True), len(labels))


class _Made(NamedTuple):
    """One view (3, S, S) uint8 and its label, or a batch of them; None where no image could be read.

    Problems travel back beside the images: an error raised in a worker arrives with its traceback as text.
    """

    pixels: Tensor | None
    labels: Tensor
    unreadable: dict[int, str]


class _Views(Dataset[_Made]):
    """Place in the training part -> view of the image there, or of the next one that can be read."""

    def __init__(
        self, source: ImageSource, indices: npt.NDArray[np.int64], views: RandomViews, seed: tuple[int, ...]
    ) -> None:
        self._source, self._indices, self._views, self._seed = source, indices, views, seed

    def __getitem__(self, place: int) -> _Made:
        unreadable: dict[int, str] = {}
        for step in range(min(NEIGHBOURS, len(self._indices))):
            candidate = int(self._indices[(place + step) % len(self._indices)])
            try:
                image = self._source.image(candidate)
            except DataError as exc:
                unreadable[candidate] = str(exc)
                continue
            image = opaque(image, self._source.preprocessing.transparency)
            view = self._views(image, (*self._seed, int(self._indices[place])))
            return _Made(view, torch.tensor(int(self._source.labels[candidate])), unreadable)
        return _Made(None, torch.tensor(-1), unreadable)


def _collate(items: list[_Made]) -> _Made:
    unreadable: dict[int, str] = {}
    for item in items:
        unreadable |= item.unreadable
    views = [item.pixels for item in items if item.pixels is not None]
    pixels = torch.stack(views) if len(views) == len(items) else None
    return _Made(pixels, torch.stack([item.labels for item in items]), unreadable)


def _of_a_lost_worker(exc: Exception) -> bool:
    """Whether torch noticed a dead worker, or the line to it broke first; not an error raised by one."""
    text = str(exc)
    if isinstance(exc, RuntimeError):
        return text.startswith("DataLoader worker (pid")
    return not text.startswith("Caught ") or "in pin memory thread" in text


def _clean_processes() -> BaseContext:
    """How workers are started.

    Forked off a process that trains, they would inherit the locks of its threads (torch's, CUDA's, NCCL's,
    the bars') as they happen to be, and may hang. A server process that has loaded nothing but the modules
    below forks them cleanly, and as fast.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    loaded = [name for name in ("timm.data", "datasets") if name in sys.modules]
    context.set_forkserver_preload(["__main__", __name__, *loaded])
    return context
