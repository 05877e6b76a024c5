"""The record of a search: ``evaluations.jsonl``, one evaluation or failure a line, and ``front.json``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anas_zoo.core.errors import AnasError, SearchError
from anas_zoo.core.files import canonical_json, disk_errors
from anas_zoo.core.hints import Option
from anas_zoo.core.intervals import with_interval
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.plain_data import parse_json
from anas_zoo.core.schema import read_json
from anas_zoo.searching.objectives import OBJECTIVES
from anas_zoo.space import Architecture


@dataclass(frozen=True)
class Evaluation:
    """An architecture scored on the search split, or by a predictor.

    Attributes:
        macs, params, size_bytes: exact; the bytes are those of the float32 weights with batch norm folded.
        top1_pct: share of the search images (of all their views) that it classified right, in percent.
        images: how many of them that was measured on; 0 for a prediction.
        latency_ms: predicted by the latency model of the search; None without one.
        latency_bar_ms: from where to where that may lie, by the errors of the model; None where not known.
        round: of the search, from 0, in which it was asked for.
    """

    arch: Architecture
    macs: int
    params: int
    top1_pct: float
    images: int
    size_bytes: int = 0
    latency_ms: float | None = None
    latency_bar_ms: tuple[float, float] | None = None
    round: int = 0

    def to_dict(self) -> dict[str, Any]:
        """One line of ``evaluations.jsonl``; with the latency's bars where they are known."""
        data = vars(self) | {"arch": self.arch.to_dict(), "arch_id": self.arch.id}
        bar = data.pop("latency_bar_ms")
        return data if bar is None else data | {"latency_bar_ms": list(bar)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """The evaluation of one line of ``evaluations.jsonl``."""
        latency_ms, bar = data.get("latency_ms"), data.get("latency_bar_ms")
        return cls(
            arch=Architecture.from_dict(data["arch"]),
            macs=int(data["macs"]),
            params=int(data["params"]),
            top1_pct=float(data["top1_pct"]),
            images=int(data["images"]),
            size_bytes=int(data.get("size_bytes", 0)),
            latency_ms=None if latency_ms is None else float(latency_ms),
            latency_bar_ms=None if bar is None else (float(bar[0]), float(bar[1])),
            round=int(data.get("round", 0)),
        )

    def value(self, name: str) -> float:
        """The objective of that name; NaN where it was not asked for."""
        found = getattr(self, name)
        return float("nan") if found is None else float(found)

    @property
    def accuracy(self) -> str:
        """Top-1 for people, in percent with its 95 % interval; that of a prediction is not known."""
        return with_interval(self.top1_pct, self.images or None, unit="")

    def bar(self, name: str) -> tuple[float, float]:
        """From where to where the objective of that name may lie; only a predicted latency is uncertain."""
        if name == "latency_ms" and self.latency_bar_ms is not None:
            return self.latency_bar_ms
        return self.value(name), self.value(name)

    def shown(self, name: str) -> str:
        """The objective of that name for people, such as "2.012 (1.71 to 2.4)" of a latency."""
        show = OBJECTIVES[name].shown
        low, high = self.bar(name)
        return show(self.value(name)) + (f" ({low:.3g} to {high:.3g})" if low < high else "")


@dataclass(frozen=True)
class Failure:
    """An architecture that could not be scored, and why: on record, so that it is not tried again."""

    arch: Architecture
    macs: int
    params: int
    error: str
    round: int = 0

    def to_dict(self) -> dict[str, Any]:
        """One line of ``evaluations.jsonl``; ``top1_pct`` is null."""
        return vars(self) | {"arch": self.arch.to_dict(), "arch_id": self.arch.id, "top1_pct": None}


Record = Evaluation | Failure


def record_from_dict(data: dict[str, Any]) -> Record:
    """The evaluation or failure of one line of ``evaluations.jsonl``."""
    if data.get("error") is None:
        return Evaluation.from_dict(data)
    return Failure(
        arch=Architecture.from_dict(data["arch"]),
        macs=int(data["macs"]),
        params=int(data["params"]),
        error=str(data["error"]),
        round=int(data.get("round", 0)),
    )


EVALUATIONS = "evaluations.jsonl"
FRONT = "front.json"


class Archive:
    """An append-only file of evaluations; lines are on the disk when :meth:`add` returns.

    An existing file is continued. What a killed process left of a last line is cut off first: it was never
    reported, and will be evaluated again.

    Attributes:
        records: what the file held when it was opened.

    Raises :class:`SearchError` naming a whole line that is not an evaluation.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            if path.exists():
                content = path.read_bytes()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):
                    os.truncate(path, whole)
            self.records = read_records(path) if path.exists() else []
            self._file = path.open("a", encoding="utf-8")

    def add(self, records: Iterable[Record]) -> None:
        """Append a line for each record and flush them to the disk together."""
        lines = "".join(canonical_json(record.to_dict()) + "\n" for record in records)
        with disk_errors(self._path):
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def read_records(path: Path) -> list[Record]:
    """All evaluations and failures of an archive, in order.

    Raises :class:`SearchError` naming the line that is not an evaluation.
    """
    refuse_irregular(path, SearchError)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SearchError(f"cannot read the evaluations {path} ({exc})") from exc
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found.append(record_from_dict(parse_json(line)))
        except (ValueError, KeyError, TypeError, AttributeError, AnasError) as exc:
            last = number == len(text.splitlines()) and not text.endswith("\n")
            what = "cut in the middle of a line" if last else "not an evaluation"
            hint = ("; the search that wrote it repairs it: give it ", Option("resume")) if last else ()
            raise SearchError(f"{path}, line {number}: {what} ({exc!r})", *hint) from exc
    return found


def read_evaluations(path: Path) -> list[Evaluation]:
    """The evaluations of an archive, without those that failed. Raises as :func:`read_records` does."""
    return [record for record in read_records(path) if isinstance(record, Evaluation)]


def read_front(path: Path) -> list[Evaluation]:
    """The front of a finished search, from small to large. Raises :class:`SearchError` when damaged."""
    data = read_json(path, error=SearchError)
    try:
        return [Evaluation.from_dict(item) for item in data["front"]]
    except (KeyError, TypeError, ValueError, AttributeError, AnasError) as exc:
        raise SearchError(f"{path}: not the front of a search ({exc!r})") from exc
