"""The record of a search: ``evaluations.jsonl``, one line per evaluation, and ``front.json``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anas_zoo.errors import SearchError
from anas_zoo.files import canonical_json, disk_errors, write_json
from anas_zoo.schema import read_json
from anas_zoo.search.evaluation import Evaluation

__all__ = ["Archive", "read_evaluations", "read_front", "write_front"]


class Archive:
    """An append-only file of evaluations; a line is on the disk when :meth:`add` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with disk_errors(path):
            self._file = path.open("a", encoding="utf-8")

    def add(self, evaluation: Evaluation) -> None:
        """Append one line and flush it to the disk."""
        with disk_errors(self._path):
            self._file.write(canonical_json(evaluation.to_dict()) + "\n")
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


def read_evaluations(path: Path) -> list[Evaluation]:
    """All evaluations of an archive. Raises :class:`SearchError` naming the line that is no evaluation."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise SearchError(f"cannot read the evaluations {path} ({exc})") from exc
    for number, line in enumerate(lines, 1):
        try:
            found.append(Evaluation.from_dict(json.loads(line)))
        except (ValueError, KeyError, TypeError) as exc:
            raise SearchError(f"{path}, line {number}: not an evaluation ({exc!r})") from exc
    return found


def write_front(path: Path, front: list[Evaluation], about: dict[str, Any]) -> None:
    """Write ``front.json``: what was searched and how, and the front from small to large."""
    write_json(path, {**about, "front": [evaluation.to_dict() for evaluation in front]})


def read_front(path: Path) -> list[Evaluation]:
    """The front of a finished search, from small to large. Raises :class:`SearchError` when damaged."""
    data = read_json(path, error=SearchError)
    try:
        return [Evaluation.from_dict(item) for item in data["front"]]
    except (KeyError, TypeError, ValueError) as exc:
        raise SearchError(f"{path}: not the front of a search ({exc!r})") from exc
