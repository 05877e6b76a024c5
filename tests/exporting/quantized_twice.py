"""A file that onnxruntime's graph optimizations change: a tensor that is rounded coarsely, then finely.

Run as written, both roundings happen; optimized (onnxruntime's DoubleQDQPairsRemover, on every processor),
the coarse one is gone. So the optimized file follows torch closely, and the written one does not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

COARSE, FINE = 2.0, 0.06  # scales; around the zero point 128


def round_twice(source: Path, path: Path, *, value: str = "stages.0.0.add", coarse: float = COARSE) -> Path:
    """``source`` with the tensor ``value`` through two pairs of QuantizeLinear and DequantizeLinear."""
    model = onnx.load(str(source))
    graph = model.graph
    at = next(i for i, node in enumerate(graph.node) if value in node.output) + 1
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == value:
                node.input[i] = f"{value}.fine.dequantized"
    zero = numpy_helper.from_array(np.uint8(128), "zero")
    graph.initializer.append(zero)
    current = value
    for kind, scale in (("coarse", coarse), ("fine", FINE)):
        name = f"{value}.{kind}"
        graph.initializer.append(numpy_helper.from_array(np.float32(scale), f"{name}.scale"))
        rounding = [f"{name}.scale", "zero"]
        for operator, output in (("QuantizeLinear", name), ("DequantizeLinear", f"{name}.dequantized")):
            graph.node.insert(at, helper.make_node(operator, [current, *rounding], [output], name=output))
            current, at = output, at + 1
    onnx.save(model, str(path))
    return path
