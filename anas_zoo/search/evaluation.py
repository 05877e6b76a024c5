"""What a search learns of an architecture: an evaluation, or that it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anas_zoo.space import Architecture

__all__ = ["Evaluation", "Failure", "Record", "record_from_dict"]


@dataclass(frozen=True)
class Evaluation:
    """An architecture scored on the search split, or by a predictor.

    Attributes:
        arch: what was scored.
        macs: its exact multiply-adds.
        params: its exact number of parameters.
        top1_pct: share of the search images (of all their views) that it classified right, in percent.
        images: how many of them that was measured on; 0 for a prediction.
        size_bytes: exact bytes of its float32 weights with batch norm folded.
        latency_ms: predicted by the latency model of the search; None without one.
        round: of the search, from 0, in which it was asked for.
    """

    arch: Architecture
    macs: int
    params: int
    top1_pct: float
    images: int
    size_bytes: int = 0
    latency_ms: float | None = None
    round: int = 0

    def to_dict(self) -> dict[str, Any]:
        """One line of ``evaluations.jsonl``."""
        return {
            "arch": self.arch.to_dict(),
            "arch_id": self.arch.id,
            "macs": self.macs,
            "params": self.params,
            "size_bytes": self.size_bytes,
            "latency_ms": self.latency_ms,
            "top1_pct": self.top1_pct,
            "images": self.images,
            "round": self.round,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """The evaluation of one line of ``evaluations.jsonl``."""
        latency_ms = data.get("latency_ms")
        return cls(
            arch=Architecture.from_dict(data["arch"]),
            macs=int(data["macs"]),
            params=int(data["params"]),
            top1_pct=float(data["top1_pct"]),
            images=int(data["images"]),
            size_bytes=int(data.get("size_bytes", 0)),
            latency_ms=None if latency_ms is None else float(latency_ms),
            round=int(data.get("round", 0)),
        )

    def value(self, name: str) -> float:
        """The objective of that name; NaN where it was not asked for."""
        found = getattr(self, name)
        return float("nan") if found is None else float(found)


@dataclass(frozen=True)
class Failure:
    """An architecture that could not be scored. It stays on record, so that it is not tried again.

    Attributes:
        arch: what could not be scored.
        macs: its exact multiply-adds.
        params: its exact number of parameters.
        error: why, in one line.
        round: of the search, from 0, in which it was asked for.
    """

    arch: Architecture
    macs: int
    params: int
    error: str
    round: int = 0

    def to_dict(self) -> dict[str, Any]:
        """One line of ``evaluations.jsonl``; ``top1_pct`` is null."""
        return {
            "arch": self.arch.to_dict(),
            "arch_id": self.arch.id,
            "macs": self.macs,
            "params": self.params,
            "top1_pct": None,
            "error": self.error,
            "round": self.round,
        }


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
