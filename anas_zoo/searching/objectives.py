"""What a search can weigh: the objectives, their direction, and how they are shown to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["COSTS", "OBJECTIVES", "CostName", "Objective", "ObjectiveName"]

CostName = Literal["macs", "params", "size_bytes", "latency_ms"]
ObjectiveName = Literal["top1_pct", "macs", "params", "size_bytes", "latency_ms"]


@dataclass(frozen=True)
class Objective:
    """One quantity of an evaluation.

    Attributes:
        name: the evaluation's attribute.
        title: for people, with the unit that :meth:`shown` speaks.
        short: the same for the head of a column.
        keyword: name of the quantity in the shown unit, as limits are given: ``max_mflops``.
        maximise: whether more is better.
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
