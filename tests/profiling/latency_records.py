"""Latency models and timings made up, so that the truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anas_zoo.profiling.latency_error import judge
from anas_zoo.profiling.latency_model import LatencyModel, LatencyRecord, Measured
from anas_zoo.profiling.machine import fingerprint
from anas_zoo.profiling.sweep import Timing
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.space import SearchSpace

__all__ = ["COEFFICIENTS", "measured_of", "model_of", "timing"]

# Milliseconds per unit of each kind of work, in the order of WORK: made up, two of them nothing.
COEFFICIENTS = np.array([0.02, 0.005, 0.0, 0.05, 0.03, 0.02, 0.04, 0.05, 0.9, 0.1, 0.8, 0.2, 1.0, 0.0, 0.3])


def timing(p50_ms: float, bar_pct: float = 1.0) -> Timing:
    """A timing of a quiet machine."""
    return Timing(
        p50_ms=p50_ms, bar_pct=bar_pct, p95_ms=1.1 * p50_ms, noise_pct=2.0, waiting_pct=0.0, calls=60
    )


def measured_of(
    space: SearchSpace, num_classes: int = 10, *, times: Sequence[float] = (1.0,)
) -> tuple[Measured, ...]:
    """Held-out subnets that took ``times`` (in turn) what the made-up coefficients say; a hundred of them."""
    archs = space.decode(space.sample_codes(np.random.default_rng(1), 100))
    predicted = [float(work_of(space.structure, arch, num_classes) @ COEFFICIENTS) for arch in archs]
    return tuple(
        Measured(
            arch=arch.to_dict(),
            part="held out",
            timing=timing(ms * times[place % len(times)]),
            predicted_ms=ms,
        )
        for place, (arch, ms) in enumerate(zip(archs, predicted, strict=True))
    )


def model_of(
    space: SearchSpace, num_classes: int = 10, *, measured: tuple[Measured, ...] = (), level_pct: float = 1.0
) -> LatencyModel:
    """A model of this machine with the made-up coefficients; without ``measured`` a bare one."""
    predicted = np.linspace(1.0, 2.0, 30)
    return LatencyModel(
        LatencyRecord(
            space=space.config,
            num_classes=num_classes,
            fingerprint=fingerprint(1),
            clock="cpu",
            seed=0,
            repeats=60,
            level_pct=level_pct,
            penalty=0.0,
            coefficients=dict(zip(WORK, COEFFICIENTS.tolist(), strict=True)),
            error=judge(predicted, [timing(ms) for ms in predicted], np.random.default_rng(0)),
            measured=measured,
        )
    )
