"""One table of what a network costs by every convention, and why the counts differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anas_zoo.entry import Cost, OnnxMacs
from anas_zoo.profiling.flops import MATRIX_PRODUCTS

PAPERS_OPERATORS = ("conv", "linear")  # fvcore's names for what the paper counts
KINDS = {
    "stem": "the first convolution",
    "depthwise": "depthwise convolutions",
    "pointwise": "1×1 convolutions",
    "linear": "linear layers and 1×1 convolutions of single pixels",
    "pooled": "average pool and 1×1 convolution of shortcuts as one convolution",
    "dense": "k×k convolutions over all channels",
}


@dataclass(frozen=True)
class CostRow:
    """One count: how far it lies from the first of its block (None: it is the first, or a part), and why."""

    what: str
    count: int
    difference: int | None = None
    why: str = ""


def cost_rows(cost: Cost) -> list[CostRow]:
    """All that ``cost`` knows: multiply-adds first, then parameters; parts are set in by two spaces."""
    what = "convolutions and linear layers"
    if cost.counted_by == "fvcore":
        what = f"{what}, and products of matrices, as fvcore traces them"
        rows = [CostRow("multiply-adds", cost.macs, None, what)]
    else:
        rows = [CostRow("multiply-adds, exact", cost.macs, None, f"{what}: the paper's FLOPs")]
    rows += _fvcore(cost)
    for name, graph in sorted((cost.onnx or {}).items()):
        rows += _graph(cost, name, graph)
    rows.append(CostRow("parameters, live", cost.params))
    if cost.params_authors is not None:
        why = "their extraction keeps a shortcut convolution in every block, used or not"
        rows.append(_against(cost.params, "as the AttentiveNAS authors count", cost.params_authors, why))
    if cost.params_folded is not None:
        why = "a batch norm's scale and shift become one bias"
        rows.append(_against(cost.params, "with batch norm folded", cost.params_folded, why))
    for name, graph in sorted((cost.onnx or {}).items()):
        total = graph.weights + graph.biases
        rows.append(_against(cost.params, f"{name}, weights and biases", total, _parameters(cost, graph)))
        rows += [CostRow("  weights", graph.weights), CostRow("  biases", graph.biases)]
    return rows


def _against(exact: int, what: str, count: int, why: str) -> CostRow:
    return CostRow(what, count, count - exact, why)


def _fvcore(cost: Cost) -> Iterator[CostRow]:
    counts = cost.fvcore_by_operator or {}
    if counts and cost.counted_by == "plan":
        traced = sum(counts.get(name, 0) for name in PAPERS_OPERATORS)
        what = " + ".join(name for name in PAPERS_OPERATORS if name in counts)
        yield _against(cost.macs, f"fvcore, {what}", traced, "agrees" if traced == cost.macs else "")
    if cost.fvcore_total is not None:
        counted = (*PAPERS_OPERATORS, *(MATRIX_PRODUCTS if cost.counted_by == "fvcore" else ()))
        beside = [name for name in counts if name not in counted]
        why = f"it also counts {' and '.join(beside)}" if beside else "it also counts batch norm and pooling"
        yield _against(cost.macs, "fvcore, its total", cost.fvcore_total, why)
    yield from (CostRow(f"  {name}", count) for name, count in sorted(counts.items()))


def _graph(cost: Cost, name: str, graph: OnnxMacs) -> Iterator[CostRow]:
    yield _against(cost.macs, f"{name}, its graph", graph.macs, graph_difference(cost, graph))
    yield from (CostRow(f"  {operator}", count) for operator, count in sorted(graph.by_operator.items()))
    size = "×".join(map(str, graph.input_shape))
    for operator, count in sorted(graph.preprocessing_macs.items()):
        yield CostRow(f"  {operator} of preprocessing", count, None, f"beside the network, for {size} input")


def graph_difference(cost: Cost, graph: OnnxMacs) -> str:
    """'agrees', or which kinds of layers make a file's count another one than the exact count."""
    if graph.macs == cost.macs and graph.by_kind == (cost.macs_by_kind or graph.by_kind):
        return "agrees"
    if cost.macs_by_kind is None:
        return ""
    gaps = {
        name: graph.by_kind.get(kind, 0) - cost.macs_by_kind.get(kind, 0)  # type: ignore[call-overload]
        for kind, name in KINDS.items()
    }
    return "; ".join(f"{name}: {gap:+,}" for name, gap in gaps.items() if gap)


def _parameters(cost: Cost, graph: OnnxMacs) -> str:
    if cost.counted_by == "fvcore":
        return "of convolutions and products alone, batch norm folded"
    if cost.params_folded is None:
        return "batch norm folded"
    gap = graph.weights + graph.biases - cost.params_folded
    if not gap:
        return "batch norm folded: agrees"
    reason = ", larger kernels of shortcuts" if "pooled" in graph.by_kind else ""
    if gap < 0:
        reason = ": the file stores equal ones once"
    return f"batch norm folded, and {gap:+,} beside it{reason}"
