"""What a search can weigh and limit: the objectives, and ranges of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from anas_zoo.core.schema import Schema

CostName = Literal["macs", "params", "size_bytes", "latency_ms"]
ObjectiveName = Literal["top1_pct", "macs", "params", "size_bytes", "latency_ms"]


@dataclass(frozen=True)
class Objective:
    """One quantity of an evaluation.

    Attributes:
        name: the evaluation's attribute.
        title, short: for people, with the unit that :meth:`shown` speaks; short for the head of a column.
        keyword: name of the quantity in the shown unit, as limits are given: ``max_mflops``.
        per_shown: how many of the stored unit make one of the shown unit.
    """

    name: ObjectiveName
    title: str
    short: str
    keyword: str
    maximise: bool = False
    per_shown: float = 1.0

    def shown(self, value: float) -> str:
        """A stored value in the unit of :attr:`title`."""
        return f"{value / self.per_shown:.4g}" if not self.maximise else f"{value:.2f}"


OBJECTIVES: dict[str, Objective] = {
    "top1_pct": Objective("top1_pct", "top-1 (%)", "top-1 %", "top1_pct", maximise=True),
    "macs": Objective("macs", "MFLOPs (multiply-adds)", "MFLOPs", "mflops", per_shown=1e6),
    "params": Objective("params", "parameters (M)", "params M", "mparams", per_shown=1e6),
    "size_bytes": Objective("size_bytes", "float32 weights (MB)", "size MB", "size_mb", per_shown=1e6),
    "latency_ms": Objective("latency_ms", "latency (ms)", "latency ms", "latency_ms"),
}
COSTS: tuple[CostName, ...] = get_args(CostName)


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

    Latency needs a latency model; ``top1_pct`` has only ``min``, and is known once an architecture was
    scored.
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
