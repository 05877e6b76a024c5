"""An int8 file beside the float file of the same network: how large, and how fast on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from anas_zoo.core.files import sha256_bytes
from anas_zoo.entry import Preprocessing, QuantizationInfo
from anas_zoo.exporting import DEFAULT_TARGET, Target, export_onnx
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.profiling.timing import interleave

FLOATS = {"litert": "litert-fp32", "openvino": "openvino-fp32"}  # else the default target
REPEATS = 60  # calls of the int8 and of the float file each, side by side
WARMUP = 10


def quantization_info(
    int8: Path,
    network: nn.Module,
    target: Target,
    preprocessing: Preprocessing,
    *,
    resolution: int,
    calibration: Tensor,
    source: str,
) -> QuantizationInfo:
    """How the int8 file was made, and its size and speed beside the float file with the same input and batch.

    Both are timed call by call in turn, on one thread; the speed-up is that of the medians.

    Args:
        int8: the file.
        network: that it was made from.
        target: that it was made for, with its one choice of float parts.
        preprocessing: the network's.
        resolution: side R of its input in pixels.
        calibration: the images that its ranges come from, (N, 3, R, R) float32.
        source: where they come from, in words.
    """
    how = target.quantization
    assert how is not None
    of_runtime = Target.load(FLOATS.get(target.runtime, DEFAULT_TARGET))
    plain = of_runtime.model_copy(update={"input": target.input, "batch": target.batch})
    with tempfile.TemporaryDirectory() as scratch:
        single = Path(scratch) / f"float{target.suffix}"
        export_onnx(
            network, single, target=plain, resolution=resolution, metadata={}, preprocessing=preprocessing
        )
        channels = calibration.shape[1]
        calls = [_call(path, target, channels, resolution) for path in (single, int8)]
        for call in calls * WARMUP:
            call()
        float_ms, int8_ms = np.median(interleave(calls, REPEATS), axis=1)
        float_size_bytes = single.stat().st_size
    return QuantizationInfo(
        images=len(calibration),
        source=source,
        sha256=sha256_bytes(calibration.contiguous().numpy().tobytes()),
        method=how.method,
        keep_float=how.in_float,
        speedup=float(float_ms / int8_ms),
        float_size_bytes=float_size_bytes,
        machine=describe_machine(),
    )


def _call(path: Path, target: Target, channels: int, side: int) -> Callable[[], object]:
    count = 1 if target.batch == "dynamic" else target.batch
    rng = np.random.default_rng(0)
    # Random values, since all zeros would let the activations take their fast paths.
    images: np.ndarray = (
        rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
        if target.input == "uint8-nhwc"
        else rng.standard_normal((count, channels, side, side), dtype=np.float32)
    )
    runner = open_runner(path, target)
    assert not isinstance(runner, str)  # int8 is exported where it runs, or on its stand-in
    run = runner.run
    return lambda: run(images)
