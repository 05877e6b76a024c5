"""What a training reports: means and rates between two reports, as lines of JSON and for TensorBoard."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from anas_zoo.core.errors import TrainingError
from anas_zoo.core.files import atomic_write, canonical_json, disk_errors
from anas_zoo.core.plain_data import parse_json

FILE = "metrics.jsonl"
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


class MetricsWriter:
    """Appends records to ``metrics.jsonl`` and to TensorBoard's events of a training's folder.

    Records of later steps than ``after_step`` are removed first: they are of a course that was killed or
    rolled back.
    """

    def __init__(self, folder: Path, *, after_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = folder / FILE
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            kept = [r for r in read_metrics(folder) if r["step"] <= after_step]
            atomic_write(self._path, "".join(canonical_json(record) + "\n" for record in kept))
            self._file = self._path.open("a", encoding="utf-8")
            # purge_step: TensorBoard hides what an earlier writer reported for later steps.
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=after_step + 1)

    def add(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """One record: ``kind`` (train, evaluation, rollback), the step, and plain values."""
        record = {"kind": kind, "step": step, **values}
        with disk_errors(self._path):
            self._file.write(canonical_json(record) + "\n")
            self._file.flush()
            for name, value in values.items():
                for key, number in value.items() if isinstance(value, Mapping) else [("", value)]:
                    if isinstance(number, int | float) and not isinstance(number, bool):
                        tag = f"{kind}/{name}{'/' if key else ''}{key}"
                        self._board.add_scalar(tag, number, step)
            if kind != "train":
                self._board.flush()

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        with disk_errors(self._path):
            self._board.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All records of a training; a last line that a killed process left unfinished is left out.

    Raises :class:`TrainingError` naming any other line that is not a record.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    records = []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            record = parse_json(line)
            int(record["step"])
        except (ValueError, KeyError, TypeError) as exc:
            if number == len(lines):  # it has no line end: cut off in the middle
                break
            raise TrainingError(f"{path}, line {number}: not a record of a training ({exc!r})") from exc
        records.append(record)
    return records
