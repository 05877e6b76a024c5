"""A LiteRT file in int8, by ai-edge-quantizer, with ranges from calibration images."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from anas_zoo.core.errors import QuantizationError
from anas_zoo.core.extras import extra_needed
from anas_zoo.core.stderr import silent_stderr
from anas_zoo.exporting.graph import INPUT, OUTPUT
from anas_zoo.exporting.litert import FREE, SIGNATURE, packed
from anas_zoo.exporting.quantization import calibration_images
from anas_zoo.exporting.target import Quantization

BATCH = 64  # images that ranges are found on at a time


@extra_needed()
def quantize_litert(content: bytes, images: Tensor | None, how: Quantization) -> bytes:
    """``content`` with weights (a scale for each output channel) and activations in int8.

    Input and output stay float32; the file rounds the image itself.

    Args:
        content: of a float32 file that :func:`anas_zoo.exporting.litert.to_litert` has made.
        images: preprocessed (N, C, R, R) float32 of the training split.
        how: the target's section; of its parts ``keep_float`` and ``keep_parts`` are left in float.

    Raises :class:`QuantizationError` for too few images or ones that do not fit the file, and
    :class:`anas_zoo.core.extras.MissingPackageError` without ai-edge-quantizer.
    """
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName

    pixels = calibration_images(images, how)
    ends = (TFLOperationName.INPUT, TFLOperationName.OUTPUT)
    parts = [(_pattern(part), TFLOperationName.ALL_SUPPORTED) for part in how.in_float]
    with _quiet():
        try:
            made = quantizer.Quantizer(bytearray(content))
            made.load_quantization_recipe(recipe.static_wi8_ai8())
            for regex, operation in (*((".*", end) for end in ends), *parts):
                made.update_quantization_recipe(
                    regex=regex, operation_name=operation, algorithm_key=AlgorithmName.NO_QUANTIZE
                )
            found = bytes(made.quantize(_ranges(made, pixels)).quantized_model)
        except Exception as exc:  # the quantizer's own errors and those of the interpreter it calibrates with
            raise QuantizationError(f"cannot be quantized: {' '.join(str(exc).split())[:300]}") from exc
    return _with_own_output(found)


def _ranges(made: Any, pixels: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The least and the largest of every value on ``pixels``.

    The quantizer's own way, a moving average of the ranges of single images, cuts off what many of them have.
    """
    found: dict[str, Any] = {}
    for start in range(0, len(pixels), BATCH):
        part = made.calibrate({SIGNATURE: [{INPUT: pixels[start : start + BATCH]}]})
        for name, value in part.items():
            known = found.setdefault(name, dict(value))
            for end, further in (("min", np.minimum), ("max", np.maximum)):
                if end in value:
                    known[end] = further(known[end], value[end])
    return found


def _with_own_output(content: bytes) -> bytes:
    """``content`` with name and free batch of the logits at the output, a tensor that the quantizer adds."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # the quantizer puts what is large behind the model
            buffer.data = np.frombuffer(content[buffer.offset : buffer.offset + buffer.size], np.uint8)
            buffer.offset = buffer.size = 0
    (graph,) = model.subgraphs
    (output,) = graph.outputs
    for tensor in graph.tensors:
        if tensor.name == OUTPUT.encode():
            tensor.name = f"{OUTPUT}.rounded".encode()
    logits = graph.tensors[output]
    logits.name, logits.shapeSignature = OUTPUT.encode(), [FREE, *logits.shape[1:]]
    return packed(model)


def _pattern(part: str) -> str:
    """A regular expression for the names of the tensors that a part of the network makes."""
    if part.startswith("stages."):
        return rf"(^|;){re.escape(part)}\..*"
    return rf"(^|.*\.){part}(\..*|_act)?$"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's bars, sizes and advice."""
    level = logging.root.level
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        silent_stderr(),
    ):
        warnings.simplefilter("ignore")
        logging.root.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logging.root.setLevel(level)
