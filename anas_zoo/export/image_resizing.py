"""Pillow's resize and the middle of the result, for images of any size, as a piece of an ONNX graph.

Pillow resizes the lines of bytes one way, rounds to bytes, then the other way. ONNX Resize with antialias
does nearly the same from opset 18 on, as fast as Pillow. Before, each way is a product with a matrix of
weights that is made in the graph: the same bytes as Pillow's, but several times the work for a large image.
"""

from __future__ import annotations

from dataclasses import dataclass

from anas_zoo.export.graph_building import DOUBLE, FLOAT, INT64, GraphPiece

__all__ = ["FILTERS", "resize_and_crop"]

FILTERS = {"bilinear": "linear", "bicubic": "cubic"}  # Pillow's name -> that of ONNX Resize
PILLOW_CUBIC_A = -0.5
PILLOW_WEIGHT = 2.0**22  # Pillow rounds its weights to multiples of one over this
RESIZE_ANTIALIAS = 18  # the first opset that has it

ROWS, COLUMNS = 1, 2  # of (batch, height, width, 3)
AS_IT_IS, TURNED = [0, 3, 1, 2], [0, 3, 2, 1]


@dataclass(frozen=True)
class _Sizes:
    """Names of tensors (1,) int64: of the resized image as Pillow's first pass goes along its rows."""

    # Bool: rows and columns are exchanged, as Pillow goes along the columns of high images first.
    turned: str
    rows: str
    columns: str


def resize_and_crop(
    graph: GraphPiece, image: str, *, short_side: int, side: int, interpolation: str, opset: int
) -> str:
    """(batch, height, width, 3) uint8 -> (batch, 3, side, side) float32, whole numbers from 0 to 255.

    Args:
        graph: where the nodes go.
        image: name of the images.
        short_side: pixels of the short side after the resize; the other keeps the ratio, rounded down.
        side: of the square that is cut out of the middle.
        interpolation: one of :data:`FILTERS`.
        opset: version of the operators.
    """
    sizes = _resized_sizes(graph, image, short_side)
    starts = [_middle(graph, length, side) for length in (sizes.rows, sizes.columns)]
    by = _by_resize if opset >= RESIZE_ANTIALIAS else _by_products
    pixels = by(graph, image, sizes, starts, side, interpolation)
    pixels = graph("Reshape", pixels, graph.constant([0, side, side, 3]))  # so that the shape is known
    pixels = _transposed(graph, sizes, pixels, turned=TURNED, otherwise=AS_IT_IS)
    return graph("Cast", pixels, to=FLOAT)


def _transposed(
    graph: GraphPiece, sizes: _Sizes, image: str, *, turned: list[int], otherwise: list[int]
) -> str:
    return graph.either(
        sizes.turned,
        lambda inside: inside("Transpose", image, perm=turned),
        lambda inside: inside("Transpose", image, perm=otherwise),
    )


def _resized_sizes(graph: GraphPiece, image: str, short_side: int) -> _Sizes:
    height, width = (graph("Shape", image, start=axis, end=axis + 1) for axis in (ROWS, COLUMNS))
    short, wanted = graph("Min", height, width), graph.constant([short_side])
    new_height, new_width = (graph("Div", graph("Mul", length, wanted), short) for length in (height, width))
    # What Pillow 13 does; up to 12 it always goes along the rows first.
    lost, half = graph("Sub", height, new_height), graph("Sub", width, new_width)
    much = graph("Greater", lost, graph("Mul", half, graph.constant([2])))
    turned = graph("And", graph("Greater", lost, graph.constant([0])), much)
    return _Sizes(
        turned, graph("Where", turned, new_width, new_height), graph("Where", turned, new_height, new_width)
    )


def _middle(graph: GraphPiece, length: str, side: int) -> str:
    """Where the middle ``side`` of ``length`` pixels begin; ONNX rounds a half to even, as Python does."""
    left = graph("Cast", graph("Sub", length, graph.constant([side])), to=FLOAT)
    return graph("Cast", graph("Round", graph("Mul", left, graph.constant([0.5], FLOAT))), to=INT64)


def _by_resize(
    graph: GraphPiece, image: str, sizes: _Sizes, starts: list[str], side: int, interpolation: str
) -> str:
    size = graph("Concat", sizes.rows, sizes.columns, axis=0)
    how = {
        "mode": FILTERS[interpolation],
        "antialias": 1,
        "axes": [ROWS, COLUMNS],
        "coordinate_transformation_mode": "half_pixel",
        "cubic_coeff_a": PILLOW_CUBIC_A,
        "exclude_outside": 1,
    }
    resized = graph.either(
        sizes.turned,
        lambda inside: inside("Resize", inside("Transpose", image, perm=[0, 2, 1, 3]), "", "", size, **how),
        lambda inside: inside("Resize", image, "", "", size, **how),  # without a copy of a large image
    )
    first = graph("Concat", *starts, axis=0)
    last = graph("Add", first, graph.constant([side]))
    return graph("Slice", resized, first, last, graph.constant([ROWS, COLUMNS]))


def _by_products(
    graph: GraphPiece, image: str, sizes: _Sizes, starts: list[str], side: int, interpolation: str
) -> str:
    """Only what is cut out is computed. In float64 all sums are exact, as in Pillow."""
    planes = _transposed(graph, sizes, image, turned=TURNED, otherwise=AS_IT_IS)
    down, across = (
        _weights(graph, graph("Shape", planes, start=axis, end=axis + 1), length, start, side, interpolation)
        for axis, length, start in zip((2, 3), (sizes.rows, sizes.columns), starts, strict=True)
    )
    planes = graph("Cast", planes, to=DOUBLE)
    planes = _to_bytes(graph, graph("MatMul", planes, graph("Transpose", across, perm=[1, 0])))
    planes = _to_bytes(graph, graph("MatMul", down, planes))
    return graph("Transpose", planes, perm=[0, 2, 3, 1])


def _to_bytes(graph: GraphPiece, values: str) -> str:
    rounded = graph("Floor", graph("Add", values, graph.constant(0.5, DOUBLE)))
    return graph("Clip", rounded, graph.constant(0.0, DOUBLE), graph.constant(255.0, DOUBLE))


def _weights(graph: GraphPiece, source: str, target: str, start: str, side: int, interpolation: str) -> str:
    """(side, source) float64: how Pillow mixes pixels ``start`` and on of ``target`` out of ``source``."""

    def number(value: float) -> str:
        return graph.constant(value, DOUBLE)

    def counted(length: str) -> str:
        return graph("Range", graph.constant(0), length, graph.constant(1))

    scale = graph("Div", graph("Cast", source, to=DOUBLE), graph("Cast", target, to=DOUBLE))
    places = graph("Cast", graph("Add", counted(graph.constant(side)), start), to=DOUBLE)
    centres = graph("Mul", graph("Add", places, number(0.5)), scale)
    centres = graph("Reshape", centres, graph.constant([-1, 1]))
    columns = graph("Cast", counted(graph("Squeeze", source)), to=DOUBLE)
    away = graph("Add", graph("Sub", columns, centres), number(0.5))
    # When an image shrinks, the filter grows: that is the antialiasing.
    narrower = graph("Div", number(1.0), graph("Max", scale, number(1.0)))
    x = graph("Abs", graph("Mul", away, narrower))
    values = _bilinear(graph, x) if interpolation == "bilinear" else _bicubic(graph, x)
    values = graph("Div", values, graph("ReduceSum", values, graph.constant([1]), keepdims=1))
    rounded = graph("Floor", graph("Add", graph("Mul", values, number(PILLOW_WEIGHT)), number(0.5)))
    return graph("Div", rounded, number(PILLOW_WEIGHT))


def _bilinear(graph: GraphPiece, x: str) -> str:
    one, zero = graph.constant(1.0, DOUBLE), graph.constant(0.0, DOUBLE)
    return graph("Max", graph("Sub", one, x), zero)


def _bicubic(graph: GraphPiece, x: str) -> str:
    a, one, two = PILLOW_CUBIC_A, graph.constant(1.0, DOUBLE), graph.constant(2.0, DOUBLE)
    x = graph("Min", x, two)  # there, and so beyond it, the polynomial is 0
    near = _polynomial(graph, x, (a + 2, -(a + 3), 0.0, 1.0))
    far = _polynomial(graph, x, (a, -5 * a, 8 * a, -4 * a))
    return graph("Where", graph("Less", x, one), near, far)


def _polynomial(graph: GraphPiece, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule, the highest power first."""
    value = graph.constant(coefficients[0], DOUBLE)
    for coefficient in coefficients[1:]:
        value = graph("Add", graph("Mul", value, x), graph.constant(coefficient, DOUBLE))
    return value
