"""ONNX operators: which have multiply-adds and where their operands are, and which have none, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

__all__ = [
    "COUNTED",
    "ZERO_MACS",
    "Operands",
    "nodes_inside",
    "operator_name",
    "refused_operators",
    "values_read",
]


class Operands(NamedTuple):
    """Places of a counted operator's inputs; every output is the sum of products of the two first."""

    data: int
    weight: int
    bias: int | None


# Integer and fused forms count as what they stand for: precision does not change the number of products.
COUNTED = {
    "Conv": Operands(0, 1, 2),
    "ConvInteger": Operands(0, 1, None),
    "QLinearConv": Operands(0, 3, 8),
    "Gemm": Operands(0, 1, 2),
    "MatMul": Operands(0, 1, None),
    "MatMulInteger": Operands(0, 1, None),
    "QLinearMatMul": Operands(0, 3, None),
    "com.microsoft.DynamicQuantizeMatMul": Operands(0, 1, 4),
    "com.microsoft.FusedConv": Operands(0, 1, 2),
    "com.microsoft.FusedGemm": Operands(0, 1, 2),
    "com.microsoft.FusedMatMul": Operands(0, 1, None),
    "com.microsoft.MatMulIntegerToFloat": Operands(0, 1, 6),
    "com.microsoft.QGemm": Operands(0, 3, 6),
    "com.microsoft.QLinearConv": Operands(0, 3, 8),
}

_REASONS = {
    "element-wise activation": (
        "Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Swish",
        "com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearSigmoid", "com.microsoft.QuickGelu",
    ),
    "element-wise arithmetic: products, if any, are not summed": (
        "Abs", "Add", "Ceil", "Div", "Exp", "Floor", "Max", "Min", "Mod", "Mul", "Neg", "Pow", "Reciprocal",
        "Round", "Sign", "Sqrt", "Sub", "com.microsoft.QLinearAdd", "com.microsoft.QLinearMul",
    ),
    "comparisons and choices only": (
        "And", "ArgMax", "Equal", "GlobalMaxPool", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
        "MaxPool", "Not", "Or", "ReduceMax", "ReduceMin", "TopK", "Where", "Xor",
        "com.microsoft.NhwcMaxPool",
    ),
    "sums and one scale per output; not a convolution in the paper's count": (
        "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum", "ReduceProd", "Softmax",
        "com.microsoft.QLinearAveragePool", "com.microsoft.QLinearGlobalAveragePool",
        "com.microsoft.QLinearReduceMean", "com.microsoft.QLinearSoftmax",
    ),
    "moves or describes values without computing any": (
        "CenterCropPad", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Expand", "Flatten",
        "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Range", "Reshape", "Shape", "Size",
        "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
        "com.microsoft.QLinearConcat",
    ),
    "changes the type or the scale of values, one by one": (
        "Cast", "CastLike", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear",
        "com.microsoft.DequantizeLinear", "com.microsoft.QuantizeLinear",
    ),
    "chooses a branch, whose operators are looked at like all others": ("If",),
    "interpolates pixels without learned weights; not in the paper's count": ("Resize",),
}  # fmt: skip

# Each with the reason why it has no multiply-adds; an operator that is nowhere here stops the count, since
# leaving it out would be counting it as zero.
ZERO_MACS = {name: reason for reason, names in _REASONS.items() for name in names}


def operator_name(node: Any) -> str:
    """'Conv', or 'com.microsoft.QGemm' outside the standard's own operators."""
    standard = node.domain in ("", "ai.onnx")
    return str(node.op_type if standard else f"{node.domain}.{node.op_type}")


def nodes_inside(node: Any) -> Iterator[Any]:
    """All nodes of the branches of an ``If``, and of those in them."""
    for attribute in node.attribute:
        for inside in attribute.g.node if attribute.HasField("g") else ():
            yield inside
            yield from nodes_inside(inside)


def values_read(node: Any) -> set[str]:
    """What a node reads, its branches included: they see the values around them without saying so."""
    return {name for part in (node, *nodes_inside(node)) for name in part.input} - {""}


def refused_operators(nodes: Iterable[Any]) -> list[str]:
    """Operators of ``nodes`` that nobody has looked at, and those that count but do so only in a branch."""
    inside = {operator_name(part) for node in nodes for part in nodes_inside(node)}
    unknown = (inside | {operator_name(node) for node in nodes}) - COUNTED.keys() - ZERO_MACS.keys()
    return sorted(unknown | {f"{name} in a branch" for name in inside & COUNTED.keys()})
