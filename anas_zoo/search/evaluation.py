"""One evaluation: an architecture and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anas_zoo.space import Architecture

__all__ = ["Evaluation"]


@dataclass(frozen=True)
class Evaluation:
    """An architecture scored on the search split.

    Attributes:
        arch: what was scored.
        macs: its exact multiply-adds.
        params: its exact number of parameters.
        top1_pct: share of the search images (of all their views) that it classified right, in percent.
        images: how many of them that was measured on.
    """

    arch: Architecture
    macs: int
    params: int
    top1_pct: float
    images: int

    def to_dict(self) -> dict[str, Any]:
        """One line of ``evaluations.jsonl``."""
        return {
            "arch": self.arch.to_dict(),
            "arch_id": self.arch.id,
            "macs": self.macs,
            "params": self.params,
            "top1_pct": self.top1_pct,
            "images": self.images,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """The evaluation of one line of ``evaluations.jsonl``."""
        return cls(
            arch=Architecture.from_dict(data["arch"]),
            macs=int(data["macs"]),
            params=int(data["params"]),
            top1_pct=float(data["top1_pct"]),
            images=int(data["images"]),
        )
