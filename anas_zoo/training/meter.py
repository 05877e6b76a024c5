"""What goes by between two reports: losses, images, and how the time was spent."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

__all__ = ["Meter"]

T = TypeVar("T")


class Meter:
    """Sums over the steps since the last report."""

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._began = time.perf_counter()
        self._waited = 0.0
        self._images = self._steps = 0
        self._losses: dict[str, list[float]] = defaultdict(list)

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """Yield ``items``, counting the time until each is there as waiting for data."""
        iterator = iter(items)
        while True:
            began = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self._waited += time.perf_counter() - began
            yield item

    def count(self, losses: Mapping[str, float], images: int) -> None:
        """One step more: its loss per kind of subnet and its images."""
        self._steps += 1
        self._images += images
        for kind, value in losses.items():
            self._losses[kind].append(value)

    def report(self) -> dict[str, Any]:
        """Means and rates since the last report; starts anew."""
        seconds = max(time.perf_counter() - self._began, 1e-9)
        found = {
            "steps": self._steps,
            "loss": {kind: sum(values) / len(values) for kind, values in self._losses.items()},
            "images_per_s": self._images / seconds,
            "data_wait_pct": 100.0 * self._waited / seconds,
        }
        self._restart()
        return found
