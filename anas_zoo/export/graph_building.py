"""Writing a piece of an ONNX graph as calls: every operator is one, and its value is the name of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

__all__ = ["DOUBLE", "FLOAT", "INT64", "GraphPiece"]

FLOAT, DOUBLE, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64


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
        node = self._node(operator, *inputs, **attributes)
        self.nodes.append(node)
        return str(node.output[0])

    def constant(self, value: npt.ArrayLike, kind: int = INT64) -> str:
        """The name of a constant of an ONNX element type."""
        array = np.array(value, dtype=onnx.helper.tensor_dtype_to_np_dtype(kind), order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"{self._prefix}constant_{len(self._known)}"
            self.constants.append(onnx.numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def either(self, condition: str, operator: str, value: str, *, true: Any, false: Any) -> str:
        """``operator`` on ``value`` with the attributes ``true`` or ``false``, as ``condition`` has it.

        Where ``false`` is None, ``value`` is handed on as it is.
        """
        branches = {}
        for branch, attributes in (("then_branch", true), ("else_branch", false)):
            node = (
                self._node("Identity", value, sub=branch)
                if attributes is None
                else self._node(operator, value, sub=branch, **attributes)
            )
            output = onnx.helper.make_empty_tensor_value_info(node.output[0])
            branches[branch] = onnx.helper.make_graph([node], f"{self._prefix}{branch}", [], [output])
        return self("If", condition, **branches)

    def _node(self, operator: str, *inputs: str, sub: str = "", **attributes: Any) -> Any:
        name = f"{self._prefix}{operator}_{len(self.nodes)}{sub and '_' + sub}"
        return onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes)
