"""onnxruntime's graph optimizations must leave what a file computes as it is, to within rounding.

They replace chains of operators by fused ones, and for int8 files some of these computed something else
(onnxruntime #24711, #32132). Whoever deploys a file may run it either way, so both have to be right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_GAP_RATIO", "UNOPTIMIZED", "OptimizationGap", "optimization_gap"]

UNOPTIMIZED = "without graph optimizations"

# A fused integer operator rounds at other places than the operators it replaces. Two roundings that have
# nothing to do with each other lie √2 times as far apart as each lies from torch; honest files showed 0.02 to
# 0.9 times (docs/export.md), operators that compute something else 25 times.
MAX_GAP_RATIO = 1.5
# Float files lie so close to torch that the ratio says nothing; their own tolerance holds both ways.
ALWAYS_ALLOWED_PCT = 1.0

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OptimizationGap:
    """How far a file with graph optimizations is from the same file without them.

    Attributes:
        pct: root mean square difference of the logits, in percent of the standard deviation of torch's.
        allowed_pct: how much it may be: 1.5 times as far as the nearer one is from torch, or 1 %.
    """

    pct: float
    allowed_pct: float

    @property
    def problem(self) -> str:
        """What is wrong, for an error; empty when nothing is."""
        if self.pct <= self.allowed_pct:
            return ""
        return (
            f"onnxruntime's graph optimizations change its logits by {self.pct:.3g} % of their deviation, at "
            f"most {self.allowed_pct:.3g} % is rounding"
        )


def optimization_gap(optimized: Logits, plain: Logits, torch_logits: Logits) -> OptimizationGap:
    """Compare the logits (N, classes) of one file, run with and without graph optimizations."""
    exact = torch_logits.astype(np.float64)
    deviation = float(exact.std()) or float(np.abs(exact).max()) or 1.0  # a single logit deviates by nothing

    def distance_pct(a: Logits, b: Logits) -> float:
        return 100.0 * float(np.sqrt(np.square(a.astype(np.float64) - b).mean())) / deviation

    nearer_pct = min(distance_pct(optimized, torch_logits), distance_pct(plain, torch_logits))
    return OptimizationGap(
        distance_pct(optimized, plain), max(MAX_GAP_RATIO * nearer_pct, ALWAYS_ALLOWED_PCT)
    )
