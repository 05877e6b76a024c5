"""A predictor of accuracy whose answers are known: the sum of all genes."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_predictor(path: Path, genes: int, *, space_id: str | None = None) -> Path:
    """top-1 = the sum of all genes."""
    codes = helper.make_tensor_value_info("codes", TensorProto.FLOAT, ["N", genes])
    top1 = helper.make_tensor_value_info("top1_pct", TensorProto.FLOAT, ["N", 1])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    node = helper.make_node("ReduceSum", ["codes", "axes"], ["top1_pct"])
    graph = helper.make_graph([node], "sum", [codes], [top1], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if space_id is not None:
        helper.set_model_props(model, {"space_id": space_id})
    onnx.save(model, path)
    return path
