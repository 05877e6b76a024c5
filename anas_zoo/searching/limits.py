"""The limits of a search: which architectures count at all."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from anas_zoo.core.schema import Schema
from anas_zoo.searching.objectives import COSTS, OBJECTIVES

__all__ = ["Limits", "Range"]


class Range(Schema):
    """From ``min`` to ``max``, both included; None is open."""

    min: float | None = Field(None, ge=0, allow_inf_nan=False)
    max: float | None = Field(None, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self

    @property
    def open(self) -> bool:
        """Whether everything is within it."""
        return self.min is None and self.max is None

    def in_words(self, name: str) -> str:
        """Such as ``"MFLOPs (multiply-adds) from 200 to 300"``."""
        objective = OBJECTIVES[name]
        low = None if self.min is None else objective.shown(self.min)
        high = None if self.max is None else objective.shown(self.max)
        if low is None:
            return f"{objective.title} at most {high}"
        return f"{objective.title} at least {low}" if high is None else f"{objective.title} {low} to {high}"


class Limits(Schema):
    """A range for each quantity, in its stored unit (``macs`` in multiply-adds, ``size_bytes`` in bytes).

    Attributes:
        macs: exact multiply-adds.
        params: exact number of parameters.
        size_bytes: bytes of the float32 weights with batch norm folded.
        latency_ms: predicted latency; needs a latency model.
        top1_pct: only ``min``; known only once an architecture was scored.
    """

    macs: Range = Range()
    params: Range = Range()
    size_bytes: Range = Range()
    latency_ms: Range = Range()
    top1_pct: Range = Range()
    resolution: tuple[int, ...] | None = Field(
        None, min_length=1, description="Only these sides of the input, in pixels."
    )

    def costs(self) -> dict[str, Range]:
        """The ranges of costs that limit something."""
        ranges = {name: getattr(self, name) for name in COSTS}
        return {name: limit for name, limit in ranges.items() if not limit.open}

    def in_words(self) -> str:
        """All limits in one line; empty without any."""
        words = [limit.in_words(name) for name, limit in self.costs().items()]
        if not self.top1_pct.open:
            words.append(self.top1_pct.in_words("top1_pct"))
        if self.resolution is not None:
            words.append("resolution " + " or ".join(map(str, self.resolution)))
        return ", ".join(words)
