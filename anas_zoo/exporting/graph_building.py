"""Writing a piece of an ONNX graph as calls: every operator is one, and its value is the name of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

__all__ = ["DOUBLE", "FLOAT", "INT64", "GraphPiece"]

FLOAT, DOUBLE, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64


Branch: TypeAlias = "Callable[[GraphPiece], str]"


class GraphPiece:
    """Nodes and constants whose names all begin with ``prefix``; the same calls give the same names.

    Attributes:
        nodes: in the order of the calls, which is a topological one.
        constants: initializers, each value once.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output; the output's name."""
        name = f"{self._prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: npt.ArrayLike, kind: int = INT64) -> str:
        """The name of a constant of an ONNX element type."""
        array = np.array(value, dtype=onnx.helper.tensor_dtype_to_np_dtype(kind), order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"{self._prefix}constant_{len(self._known)}"
            self.constants.append(onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def either(self, condition: str, true: Branch, false: Branch) -> str:
        """What one of the two makes, as ``condition`` has it; only that one is computed."""
        branches = {}
        for key, write in (("then_branch", true), ("else_branch", false)):
            inside = GraphPiece(f"{self._prefix}If_{len(self.nodes)}.{key}.")
            inside.constants, inside._known = self.constants, self._known
            output = onnx.helper.make_empty_tensor_value_info(write(inside))
            branches[key] = onnx.helper.make_graph(inside.nodes, f"{inside._prefix}graph", [], [output])
        return self("If", condition, **branches)
