"""Multiply-adds of an ONNX file, counted on its own graph. Needs no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.errors import ProfileError
from anas_zoo.entry import OnnxMacs
from anas_zoo.profiling.onnx_ops import COUNTED, operator_name, refused_operators, values_read
from anas_zoo.profiling.onnx_shapes import input_shape, read_graph, run_for_shapes
from anas_zoo.space import LayerKind, layer_kind
from anas_zoo.space.layers import LAYER_KINDS

__all__ = ["PHOTOGRAPH", "count_onnx_macs"]

Shape = tuple[int, ...]

PHOTOGRAPH = (480, 640)  # height and width of an image, for files that take one of any size


@dataclass(frozen=True)
class _Sum:
    """One counted operator: each of its ``outputs`` is a sum of ``terms`` products."""

    operator: str
    kind: LayerKind
    macs: int


def count_onnx_macs(path: Path, *, image_size: tuple[int, int] = PHOTOGRAPH) -> OnnxMacs:
    """Count the file at ``path`` for one image.

    Shapes are those of a real run on an image of zeros, so whatever onnxruntime runs can be counted.

    Args:
        path: the .onnx file; weights may have any precision.
        image_size: (height, width), for a file with preprocessing inside that takes images of any size; a
            larger one makes its preprocessing dearer and nothing else.

    Raises :class:`ProfileError` for a file that is none or cannot run, and for an operator that nobody has
    counted.
    """
    model = read_graph(path)
    nodes = list(model.graph.node)
    if unknown := refused_operators(nodes):
        raise ProfileError(
            f"{path}: it uses operators whose multiply-adds nobody knows: {', '.join(unknown)}; "
            "anas_zoo/profiling/onnx_ops.py lists those that can be counted and those that need not be"
        )
    feed = input_shape(model.graph, path, image_size)
    counted = [node for node in nodes if operator_name(node) in COUNTED]
    if not counted:
        raise ProfileError(f"{path}: it has no convolution and no matrix product, so it is no network")
    shapes = run_for_shapes(model, path, feed, _values_needed(nodes))
    constants = _constants(model.graph)
    stem = next((n for n in counted if "Conv" in n.op_type and _weight(n) in constants), counted[0])
    before = _ancestors(nodes, stem)

    network = [node for node in counted if node.output[0] not in before]
    sums = [_count(node, shapes, first=node is stem) for node in network]
    preprocessing = [_count(node, shapes) for node in counted if node.output[0] in before]
    weights = {_weight(node) for node in network} & constants
    biases = set(_biases(nodes, before, constants, shapes))
    kinds = _summed((one.kind, one.macs) for one in sums)
    return OnnxMacs(
        macs=sum(one.macs for one in sums),
        by_operator=dict(sorted(_summed((one.operator, one.macs) for one in sums).items())),
        by_kind={kind: kinds[kind] for kind in LAYER_KINDS if kind in kinds},
        weights=sum(math.prod(shapes[name]) for name in weights),
        biases=sum(math.prod(shapes[name]) for name in biases),
        preprocessing_macs=dict(sorted(_summed((p.operator, p.macs) for p in preprocessing).items())),
        input_shape=feed,
    )


def _summed(pairs: Iterator[tuple[Any, int]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for key, value in pairs:
        total[key] += value
    return total


def _weight(node: Any) -> str:
    return str(node.input[COUNTED[operator_name(node)].weight])


def _values_needed(nodes: list[Any]) -> set[str]:
    """Values whose shapes the count is made of: operands and outputs of what counts, and addends."""
    names: set[str] = set()
    for node in nodes:
        places = COUNTED.get(operator_name(node))
        if places is not None:
            names |= {node.output[0], node.input[places.data], node.input[places.weight]}
            names |= {node.input[i] for i in [places.bias] if i is not None and i < len(node.input)}
        elif node.op_type == "Add":
            names |= set(node.input)
    return names - {""}


def _count(node: Any, shapes: Mapping[str, Shape], *, first: bool = False) -> _Sum:
    """The multiply-adds of one node: its outputs times the products that each of them sums."""
    name, places = operator_name(node), COUNTED[operator_name(node)]
    attributes = {a.name: a for a in node.attribute}
    out, data, weight = (shapes[v] for v in (node.output[0], node.input[places.data], _weight(node)))
    if "Conv" in node.op_type:
        last = "channels_last" in attributes and attributes["channels_last"].i
        kind = layer_kind(
            kernel_size=max(weight[2:]),
            stride=max(attributes["strides"].ints) if "strides" in attributes else 1,
            groups=attributes["group"].i if "group" in attributes else 1,
            side=max(out[1:-1] if last else out[2:]),
            first=first,
        )
        return _Sum(name, kind, math.prod(out) * math.prod(weight[1:]))
    turned = "transA" in attributes and attributes["transA"].i
    return _Sum(name, "linear", math.prod(out) * data[-2 if turned else -1])


def _constants(graph: Any) -> set[str]:
    """Values that no image changes: weights, constants, and what is computed of such alone."""
    known = {weight.name for weight in graph.initializer}
    for node in graph.node:
        if values_read(node) <= known:
            known.update(node.output)
    return known


def _ancestors(nodes: list[Any], stem: Any) -> set[str]:
    """Values that the image goes through before the first convolution; the nodes are in order."""
    wanted = {stem.input[COUNTED[operator_name(stem)].data]}
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= values_read(node)
    return wanted


def _biases(
    nodes: list[Any], before: set[str], constants: set[str], shapes: Mapping[str, Shape]
) -> Iterator[str]:
    """Constants added per channel: operands of what counts, and of the additions behind integer products."""
    for node in nodes:
        if node.output[0] in before or node.output[0] in constants:
            continue
        places = COUNTED.get(operator_name(node))
        if places is not None and places.bias is not None and places.bias < len(node.input):
            yield from {node.input[places.bias]} & constants
        elif node.op_type == "Add":
            yield from (name for name in node.input if name in constants and math.prod(shapes[name]) > 1)
