"""Pillow's resize and the middle of the result, for images of any size, as a piece of an ONNX graph.

Pillow mixes the pixels of each line by weights of 22 bits, rounds to bytes, and does the same the other way.
Here each way is a product with a matrix of those weights, made in the graph from the size of the image. Sums
in float64 are exact, so the bytes are Pillow's. (ONNX Resize with antialias, from opset 18 on, is a grey
level off here and there, and hardly faster.) A pixel is mixed out of a few neighbours, so the matrix is a
band; it is cut into blocks, and the zeros beside them are never multiplied. What lies beyond the crop is cut
off first, so that memory does not grow with the length of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

FLOAT, DOUBLE, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64

FILTERS = {"bilinear": 1.0, "bicubic": 2.0}  # Pillow's name -> how far it reaches, in pixels of the result
PILLOW_CUBIC_A = -0.5
PILLOW_WEIGHT = 2.0**22  # Pillow rounds its weights to multiples of one over this
BLOCK = 32  # pixels of the result that are made at a time

AS_IT_IS, TURNED = [0, 3, 1, 2], [0, 3, 2, 1]  # from (batch, height, width, 3) to planes
DOWN, ALONG = 2, 3  # axes of planes


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


@dataclass(frozen=True)
class _Line:
    """One axis of an image: names of tensors, all int64 of shape (1,)."""

    source: str  # its length
    target: str  # its length after the resize
    start: str  # first pixel of the result that is kept


@dataclass(frozen=True)
class _Mixing:
    """How the pixels that are kept are mixed out of those of the image; names of tensors."""

    start: str  # (1,) int64: the first pixel that any of them takes
    end: str  # (1,) int64: the one after the last
    weights: str  # (side, end - start) float64
    first: str  # (side,) int64: the first pixel, from start on, that a row of weights takes
    beyond: str  # (side,) int64: the one after the last


def resize_and_crop(graph: GraphPiece, image: str, *, short_side: int, side: int, interpolation: str) -> str:
    """(batch, height, width, 3) uint8 -> (batch, 3, side, side) float32, whole numbers from 0 to 255.

    Args:
        graph: where the nodes go.
        image: name of the images.
        short_side: pixels of the short side after the resize; the other keeps the ratio, rounded down.
        side: of the square that is cut out of the middle.
        interpolation: one of :data:`FILTERS`.
    """
    height, width = (graph("Shape", image, start=axis, end=axis + 1) for axis in (1, 2))
    short, wanted = graph("Min", height, width), graph.constant([short_side])
    new_height, new_width = (graph("Div", graph("Mul", length, wanted), short) for length in (height, width))
    # Pillow goes along the rows first; from 13 on, along the columns first where that loses twice as many
    # pixels. Then rows and columns are exchanged here, and exchanged back at the end.
    lost, twice = graph("Sub", height, new_height), graph.constant([2])
    much = graph("Greater", lost, graph("Mul", graph("Sub", width, new_width), twice))
    turned = graph("And", graph("Greater", lost, graph.constant([0])), much)
    planes = graph.either(
        turned,
        lambda inside: inside("Transpose", image, perm=TURNED),
        lambda inside: inside("Transpose", image, perm=AS_IT_IS),
    )
    mixings = []
    for axis, ordinary, other in ((ALONG, new_width, new_height), (DOWN, new_height, new_width)):
        target = graph("Where", turned, other, ordinary)
        source = graph("Shape", planes, start=axis, end=axis + 1)
        line = _Line(source, target, _middle(graph, target, side))
        mixing = _mixing(graph, line, side, interpolation)
        planes = graph("Slice", planes, mixing.start, mixing.end, graph.constant([axis]))
        mixings.append((axis, mixing))
    for axis, mixing in mixings:
        planes = _resize(graph, planes, axis, mixing, side)
    planes = graph("Reshape", planes, graph.constant([0, 3, side, side]))  # so that the shape is known
    planes = graph.either(
        turned,
        lambda inside: inside("Transpose", planes, perm=[0, 1, 3, 2]),
        lambda inside: inside("Identity", planes),
    )
    return graph("Cast", planes, to=FLOAT)


def _middle(graph: GraphPiece, length: str, side: int) -> str:
    """Where the middle ``side`` of ``length`` pixels begin; ONNX rounds a half to even, as Python does."""
    left = graph("Cast", graph("Sub", length, graph.constant([side])), to=FLOAT)
    return graph("Cast", graph("Round", graph("Mul", left, graph.constant([0.5], FLOAT))), to=INT64)


def _resize(graph: GraphPiece, planes: str, axis: int, mixing: _Mixing, side: int) -> str:
    """Planes (batch, 3, height, width) with ``side`` pixels along ``axis``: float64, whole numbers to 255."""
    blocks = []
    for begin in range(0, side, BLOCK):
        end = min(begin + BLOCK, side)
        first = graph("Gather", mixing.first, graph.constant([begin]))
        beyond = graph("Gather", mixing.beyond, graph.constant([end - 1]))
        weights = graph(
            "Slice",
            mixing.weights,
            graph("Concat", graph.constant([begin]), first, axis=0),
            graph("Concat", graph.constant([end]), beyond, axis=0),
        )
        part = graph("Cast", graph("Slice", planes, first, beyond, graph.constant([axis])), to=DOUBLE)
        blocks.append(
            graph("MatMul", weights, part)
            if axis == DOWN
            else graph("MatMul", part, graph("Transpose", weights, perm=[1, 0]))
        )
    mixed = graph("Concat", *blocks, axis=axis)
    rounded = graph("Floor", graph("Add", mixed, graph.constant(0.5, DOUBLE)))
    return graph("Clip", rounded, graph.constant(0.0, DOUBLE), graph.constant(255.0, DOUBLE))


def _mixing(graph: GraphPiece, line: _Line, side: int, interpolation: str) -> _Mixing:
    """As Pillow computes it, in the same order."""

    def number(value: float) -> str:
        return graph.constant(value, DOUBLE)

    source = graph("Cast", line.source, to=DOUBLE)
    scale = graph("Div", source, graph("Cast", line.target, to=DOUBLE))
    stretch = graph("Max", scale, number(1.0))  # when an image shrinks, the filter grows: antialiasing
    counted = graph("Range", graph.constant(0), graph.constant(side), graph.constant(1))
    places = graph("Cast", graph("Add", counted, line.start), to=DOUBLE)
    centres = graph("Mul", graph("Add", places, number(0.5)), scale)
    reach = graph("Mul", stretch, number(FILTERS[interpolation]))
    low = graph("Floor", graph("Add", graph("Sub", centres, reach), number(0.5)))
    high = graph("Floor", graph("Add", graph("Add", centres, reach), number(0.5)))
    first = graph("Cast", graph("Max", low, number(0.0)), to=INT64)
    beyond = graph("Cast", graph("Min", high, source), to=INT64)
    start, end = (
        graph("Gather", places, graph.constant([row])) for places, row in ((first, 0), (beyond, -1))
    )
    taken = graph("Range", graph("Squeeze", start), graph("Squeeze", end), graph.constant(1))
    columns = graph("Cast", taken, to=DOUBLE)
    centres = graph("Reshape", centres, graph.constant([-1, 1]))
    away = graph("Add", graph("Sub", columns, centres), number(0.5))
    x = graph("Abs", graph("Mul", away, graph("Div", number(1.0), stretch)))
    values = _bilinear(graph, x) if interpolation == "bilinear" else _bicubic(graph, x)
    values = graph("Div", values, graph("ReduceSum", values, graph.constant([1]), keepdims=1))
    whole = graph("Floor", graph("Add", graph("Mul", values, number(PILLOW_WEIGHT)), number(0.5)))
    weights = graph("Div", whole, number(PILLOW_WEIGHT))
    return _Mixing(start, end, weights, graph("Sub", first, start), graph("Sub", beyond, start))


def _bilinear(graph: GraphPiece, x: str) -> str:
    return graph("Max", graph("Sub", graph.constant(1.0, DOUBLE), x), graph.constant(0.0, DOUBLE))


def _bicubic(graph: GraphPiece, x: str) -> str:
    a = PILLOW_CUBIC_A
    x = graph("Min", x, graph.constant(2.0, DOUBLE))  # there, and so beyond it, the polynomial is 0
    near = _polynomial(graph, x, (a + 2, -(a + 3), 0.0, 1.0))
    far = _polynomial(graph, x, (a, -5 * a, 8 * a, -4 * a))
    return graph("Where", graph("Less", x, graph.constant(1.0, DOUBLE)), near, far)


def _polynomial(graph: GraphPiece, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule, the highest power first."""
    value = graph.constant(coefficients[0], DOUBLE)
    for coefficient in coefficients[1:]:
        value = graph("Add", graph("Mul", value, x), graph.constant(coefficient, DOUBLE))
    return value
