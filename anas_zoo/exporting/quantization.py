"""Static quantization to int8 by onnxruntime's quantizer, with ranges from calibration images."""

from __future__ import annotations

import logging
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor

from anas_zoo.core.errors import QuantizationError
from anas_zoo.core.hints import Option
from anas_zoo.exporting.graph import INPUT
from anas_zoo.exporting.runtimes import padded
from anas_zoo.exporting.target import KINDS, Quantization

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
DEQUANTIZED = "_DequantizeLinear_Output"  # what the quantizer calls a value after its rounding
CALIBRATION_BATCH = 16  # images; ranges do not depend on it


def part_of(node: str) -> str | None:
    """The kind of layer that a node of :func:`anas_zoo.exporting.graph.write_graph` belongs to.

    None for what belongs to none: the addition of a block, poolings, and the scaling by a gate, which see
    whole feature maps between quantized layers.
    """
    name = re.sub(r"^stages\.\d+\.\d+\.", "", node)
    if name in ("se.pool", "se.scale"):
        return None
    part = name.split(".")[0]
    part = {"mix_act": "mix"}.get(part, part)
    return part if part in KINDS else None


def layer_of(node: str) -> str:
    """The block that a node belongs to, or the layer where it is in none: ``stages.1.0``, ``head``.

    Nodes of torch's exporter have the path of their modules: ``/layer1/layer1.0/conv1/Conv`` is of
    ``layer1/layer1.0``.
    """
    if node.startswith("/"):
        path = node.split("/")[1:-1]
        numbered = [place for place, name in enumerate(path) if re.search(r"\.\d+$", name)]
        return "/".join(path[: numbered[-1] + 1] if numbered else path[:1]) or node
    found = re.match(r"stages\.\d+\.\d+", node)
    return found.group() if found else node.split(".")[0]


def quantize(model: Any, images: Tensor | None, how: Quantization) -> Any:
    """``model`` with weights and activations in int8, as QDQ: each quantized tensor between a pair of
    QuantizeLinear and DequantizeLinear, which runtimes fuse into integer kernels.

    Args:
        model: an ``onnx.ModelProto`` of :func:`anas_zoo.exporting.graph.write_graph`; it is left as it is.
        images: preprocessed (N, C, R, R) float32 of the training split.
        how: the target's section; of its parts ``keep_float`` and ``keep_parts`` are left in float.

    Raises :class:`QuantizationError` for too few images or ones that do not fit the model.
    """
    pixels = calibration_images(images, how)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, result = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))
        try:
            quantize_static(
                str(source),
                str(result),
                _Reader(pixels, _fixed_batch(model, how, len(pixels))),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=None,
                nodes_to_exclude=_excluded(model, how),
                per_channel=how.per_channel,
                reduce_range=how.reduce_range,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=METHODS[how.method],
                extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
            )
        except Exception as exc:  # the quantizer's own errors and those of the session it calibrates with
            raise QuantizationError(f"cannot be quantized: {' '.join(str(exc).split())[:300]}") from exc
        quantized = onnx.load(str(result))
    return _clean(quantized, model)


def calibration_images(images: Tensor | None, how: Quantization) -> npt.NDArray[np.float32]:
    """As many of ``images`` as ``how`` takes. Raises :class:`QuantizationError` for too few of them."""
    found = 0 if images is None else len(images)
    if images is None or found < how.min_images:
        raise QuantizationError(
            f"int8 needs at least {how.min_images} calibration images of the training split, got {found}; "
            "export inside the run that has them, or give ",
            Option("data"),
        )
    pixels: npt.NDArray[np.float32] = images[: how.images].detach().cpu().numpy()
    return pixels


def _fixed_batch(model: Any, how: Quantization, images: int) -> int:
    """Images of each calibration batch where all have to be alike, else 0: histograms are of equal arrays."""
    fixed = int(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)
    return fixed or (0 if how.method == "minmax" else min(CALIBRATION_BATCH, images))


def _excluded(model: Any, how: Quantization) -> list[str]:
    names = [node.name for node in model.graph.node]
    return [
        name
        for name in names
        if part_of(name) in how.keep_float
        or _stage_of(name) in how.keep_float
        or layer_of(name) in how.keep_parts
    ]


def _stage_of(node: str) -> str | None:
    found = re.match(r"stages\.\d+(?=\.)", node)
    return None if found is None else found.group()


def _clean(quantized: Any, model: Any) -> Any:
    """Say what the float model says of itself; the quantizer adds its own name and inferred shapes."""
    del quantized.graph.value_info[:]
    del quantized.metadata_props[:]
    quantized.producer_name, quantized.producer_version = model.producer_name, ""
    del quantized.opset_import[:]
    quantized.opset_import.extend(model.opset_import)
    quantized.ir_version = model.ir_version
    return quantized


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Calibration images in batches; of ``fixed`` images where that is not 0, the last one repeated."""

    def __init__(self, pixels: npt.NDArray[np.float32], fixed: int) -> None:
        size = fixed or CALIBRATION_BATCH
        if fixed:
            pixels = padded(pixels, fixed)
        self.batches = iter([pixels[start : start + size] for start in range(0, len(pixels), size)])

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        """The next batch; None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice, which is logged on the root logger."""
    root = logging.getLogger()
    level = root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.setLevel(logging.ERROR)
        try:
            yield
        finally:
            root.setLevel(level)
