"""Latency models made up, so that the truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anas_zoo.profiling.latency_model import LatencyModel, LatencyRecord, Measured
from anas_zoo.profiling.latency_trust import judge, unrest_of
from anas_zoo.profiling.machine import fingerprint
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.space import SearchSpace, network_layers

# Milliseconds per unit of each kind of work, in the order of WORK: made up, two of them nothing.
COEFFICIENTS = np.array(
    [0.02, 0.005, 0.0, 0.003, 0.05, 0.03, 0.02, 0.04, 0.05, 0.01, 0.9, 0.1, 0.2, 0.8, 0.2, 0.0, 0.3]
)


def works_of(space: SearchSpace, codes: np.ndarray, num_classes: int) -> np.ndarray:
    """Work of codes, (N, kinds), one network after the other."""
    archs = space.decode(codes)
    return np.array([work_of(network_layers(space.structure, arch, num_classes)) for arch in archs])


def model_of(
    space: SearchSpace, num_classes: int = 10, *, times: Sequence[float] = (1.0,), level_pct: float = 1.0
) -> LatencyModel:
    """A model of this machine with the made-up coefficients, judged by a hundred held-out subnets.

    They took ``times`` (in turn) what the coefficients say.
    """
    codes = space.sample_codes(np.random.default_rng(1), 100)
    predicted = works_of(space, codes, num_classes) @ COEFFICIENTS
    measured = predicted * np.resize(times, len(predicted))
    return LatencyModel(
        LatencyRecord(
            space=space.config,
            num_classes=num_classes,
            fingerprint=fingerprint(1),
            clock="cpu",
            level_pct=level_pct,
            noise_pct=1.0,
            coefficients=dict(zip(WORK, COEFFICIENTS.tolist(), strict=True)),
            error=judge(predicted, measured, unrest=unrest_of(level_pct, 1.0)),
            measured=tuple(
                Measured(arch=arch.to_dict(), part="held out", ms=float(ms), predicted_ms=float(predicted_ms))
                for arch, ms, predicted_ms in zip(space.decode(codes), measured, predicted, strict=True)
            ),
        )
    )
