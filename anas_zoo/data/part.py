"""A part of a source as a source of its own, and the choice of a few of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from anas_zoo.core.files import sha256_bytes
from anas_zoo.data.sources import ImageSource

__all__ = ["PartOf", "balanced_choice", "balanced_order"]


class PartOf:
    """The images ``indices`` of ``source``, numbered from 0: no number reaches any other image.

    What is given such a part cannot look at the rest, by mistake or otherwise.
    """

    test_indices: npt.NDArray[np.int64] | None = None

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source = source
        self._indices = np.asarray(indices, dtype=np.int64)
        self.name, self.title, self.licence = source.name, source.title, source.licence
        self.label_names = source.label_names
        self.labels: npt.NDArray[np.int64] = source.labels[self._indices]
        self.preprocessing = source.preprocessing

    def image(self, index: int) -> Image.Image:
        """Image ``index`` of this part in RGB. Raises :class:`IndexError` outside of it."""
        if not 0 <= index < len(self._indices):
            raise IndexError(f"image {index} of a part with {len(self._indices)}")
        return self._source.image(int(self._indices[index]))

    def fingerprint(self) -> str:
        """Hash of the source's and of which images these are."""
        return sha256_bytes(self._source.fingerprint().encode() + self._indices.tobytes())


def balanced_order(labels: npt.NDArray[np.int64], seed: Sequence[int]) -> npt.NDArray[np.int64]:
    """An order of all images (N,) by ``seed``, every beginning of which has the classes as even as can be.

    So the first n images of a smaller number are among those of a larger one, and no class is missing where
    n is at least the number of classes.
    """
    rng = np.random.default_rng(list(seed))
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    turn = np.arange(len(labels)) - np.repeat(starts, counts)  # how manyth of its class
    return np.asarray(by_class[np.lexsort((rng.permutation(len(labels)), turn))], dtype=np.int64)


def balanced_choice(
    indices: Sequence[int] | npt.NDArray[np.integer],
    labels: npt.NDArray[np.int64],
    count: int,
    seed: Sequence[int],
) -> list[int]:
    """At most ``count`` of ``indices``, the classes as even as can be, in an order that mixes them.

    Args:
        indices: numbers of images.
        labels: the class of every image of their source, by number.
        count: of a smaller count the images are among those of a larger one.
        seed: words that the choice follows from.
    """
    numbers = np.asarray(indices, dtype=np.int64)
    chosen: list[int] = numbers[balanced_order(labels[numbers], seed)[:count]].tolist()
    return chosen
