"""The record of a search: ``evaluations.jsonl``, one line per evaluation, and ``front.json``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from anas_zoo.core.errors import AnasError, SearchError
from anas_zoo.core.files import canonical_json, disk_errors, write_json
from anas_zoo.core.outside import refuse_irregular
from anas_zoo.core.plain_data import parse_json
from anas_zoo.core.schema import read_json
from anas_zoo.searching.evaluation import Evaluation, Record, record_from_dict

__all__ = ["EVALUATIONS", "FRONT", "Archive", "read_evaluations", "read_front", "read_records", "write_front"]

EVALUATIONS = "evaluations.jsonl"
FRONT = "front.json"


class Archive:
    """An append-only file of evaluations; lines are on the disk when :meth:`add` returns.

    An existing file is continued. What a killed process left of a last line is cut off first: it was never
    reported, and will be evaluated again.

    Attributes:
        records: what the file held when it was opened.

    Raises :class:`SearchError` naming a whole line that is no evaluation.
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

    Raises :class:`SearchError` naming the line that is no evaluation.
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
            hint = "; the search that wrote it mends it when it goes on (--resume)" if last else ""
            raise SearchError(f"{path}, line {number}: {what} ({exc!r}){hint}") from exc
    return found


def read_evaluations(path: Path) -> list[Evaluation]:
    """The evaluations of an archive, without those that failed. Raises as :func:`read_records` does."""
    return [record for record in read_records(path) if isinstance(record, Evaluation)]


def write_front(path: Path, front: list[Evaluation], about: dict[str, Any]) -> None:
    """Write ``front.json``: what was searched and how, and the front from small to large."""
    write_json(path, {**about, "front": [evaluation.to_dict() for evaluation in front]})


def read_front(path: Path) -> list[Evaluation]:
    """The front of a finished search, from small to large. Raises :class:`SearchError` when damaged."""
    data = read_json(path, error=SearchError)
    try:
        return [Evaluation.from_dict(item) for item in data["front"]]
    except (KeyError, TypeError, ValueError, AttributeError, AnasError) as exc:
        raise SearchError(f"{path}: not the front of a search ({exc!r})") from exc
