"""The facts of a collection that decide whether training on it makes sense, in one line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anas_zoo.core.errors import DataError
from anas_zoo.data.sources import ImageSource

MEASURED = 32  # images whose sizes stand for all


@dataclass(frozen=True)
class DataSummary:
    """What a collection of labelled images holds.

    ``sizes`` are (width, height) in pixels of the smallest and the largest by area of a few images spread
    over the collection; None where none of them can be read.
    """

    images: int
    per_class: dict[str, int]
    sizes: tuple[tuple[int, int], tuple[int, int]] | None

    def line(self) -> str:
        """``"5,000 images in 10 classes (smallest: 'three', 480), 28×28 pixels"``."""
        text = f"{self.images:,} images"
        if self.per_class:
            name = min(self.per_class, key=lambda name: self.per_class[name])
            text += f" in {len(self.per_class):,} classes (smallest: {name!r}, {self.per_class[name]:,})"
        if self.sizes:
            small, large = (f"{width:,}×{height:,}" for width, height in self.sizes)
            text += f", {small} pixels" if small == large else f", about {small} to {large} pixels"
        return text


def summarise(source: ImageSource) -> DataSummary:
    """The facts of ``source``; a few of its images are read."""
    counts = np.bincount(source.labels[source.labels >= 0], minlength=len(source.label_names))
    measured = np.unique(np.linspace(0, len(source.labels) - 1, MEASURED).astype(np.int64))
    sizes = []
    for index in measured.tolist():
        try:
            sizes.append(source.image(index).size)
        except DataError:
            continue
    sizes.sort(key=lambda size: (size[0] * size[1], size))
    return DataSummary(
        images=len(source.labels),
        per_class=dict(zip(source.label_names, counts.tolist(), strict=True)),
        sizes=(sizes[0], sizes[-1]) if sizes else None,
    )
