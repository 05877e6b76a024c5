"""An int8 file beside the float file of the same network: how large, and how fast on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anas_zoo.data import Preprocessing
from anas_zoo.exporting import DEFAULT_TARGET, Target, export_onnx
from anas_zoo.nets import Subnet
from anas_zoo.profiling import open_session
from anas_zoo.profiling.latency import interleave
from anas_zoo.profiling.machine import describe_machine

__all__ = ["BesideFloat", "beside_float"]

REPEATS = 60  # calls of the int8 and of the float file each, side by side
WARMUP = 10


@dataclass(frozen=True)
class BesideFloat:
    """What was measured.

    Attributes:
        speedup: how many times faster the int8 file is, by the medians, on one thread.
        float_size_bytes: size of the float file.
        machine: that measured it.
    """

    speedup: float
    float_size_bytes: int
    machine: str


def beside_float(
    int8: Path, subnet: Subnet, target: Target, resolution: int, preprocessing: Preprocessing
) -> BesideFloat:
    """Write the float file with the input and batch of ``target``, and time both call by call in turn."""
    same = {"input": target.input, "batch": target.batch}
    plain = Target.load(DEFAULT_TARGET).model_copy(update=same)
    with tempfile.TemporaryDirectory() as scratch:
        single = Path(scratch) / "float.onnx"
        export_onnx(
            subnet, single, target=plain, resolution=resolution, metadata={}, preprocessing=preprocessing
        )
        calls = [_call(path, target, subnet.in_chans, resolution) for path in (single, int8)]
        for call in calls * WARMUP:
            call()
        float_ms, int8_ms = np.median(interleave(calls, REPEATS), axis=1)
        return BesideFloat(float(float_ms / int8_ms), single.stat().st_size, describe_machine())


def _call(path: Path, target: Target, channels: int, side: int) -> Callable[[], object]:
    count = 1 if target.batch == "dynamic" else target.batch
    session, rng = open_session(path), np.random.default_rng(0)
    # Random values, since all zeros would let the activations take their fast paths.
    images: np.ndarray = (
        rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
        if target.input == "uint8-nhwc"
        else rng.standard_normal((count, channels, side, side), dtype=np.float32)
    )
    return lambda: session.run(None, {"image": images})
