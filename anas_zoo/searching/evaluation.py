"""What a search learns of an architecture: an evaluation, or that it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anas_zoo.searching.objectives import OBJECTIVES
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
        bar = self.latency_bar_ms
        return {
            "arch": self.arch.to_dict(),
            "arch_id": self.arch.id,
            "macs": self.macs,
            "params": self.params,
            "size_bytes": self.size_bytes,
            "latency_ms": self.latency_ms,
            **({} if bar is None else {"latency_bar_ms": list(bar)}),
            "top1_pct": self.top1_pct,
            "images": self.images,
            "round": self.round,
        }

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
