"""Trees of a forest -> the ONNX model that answers as they do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.files import sha256_file
from anas_zoo.searching.joblib_forest import ForestTree, read_joblib_forest
from anas_zoo.searching.predictor_file import OPSETS, PARITY_ARCHS, write_checked
from anas_zoo.space import SearchSpace
from anas_zoo.space.predictor import SPACE_KEY

__all__ = ["convert_forest", "forest_to_onnx", "predict_forest"]


def convert_forest(source: Path, space: SearchSpace, out: Path) -> tuple[int, float]:
    """A joblib file with a random forest that reads codes of ``space`` -> a predictor's ONNX file ``out``.

    Returns the number of trees, and the largest difference between the file's answers and theirs on random
    architectures, in points of top-1.
    Raises :class:`ConfigError` for a file that holds anything else (nothing in it is run),
    :class:`ParityError` when the two differ.
    """
    trees = read_joblib_forest(source, space.genes.count)
    ends = space.encode([space.smallest, space.largest])
    difference = write_checked(
        out,
        forest_to_onnx(trees, space.genes.count),
        space,
        codes=np.concatenate([space.sample_codes(np.random.default_rng(0), PARITY_ARCHS), ends]),
        reference=lambda codes: predict_forest(trees, codes),
        about={
            SPACE_KEY: space.id,
            "space": space.name,
            "model": "random_forest",
            "converted_from_sha256": sha256_file(source),
            "anas-zoo": metadata.version("anas-zoo"),
        },
    )
    return len(trees), difference


def predict_forest(trees: Sequence[ForestTree], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Mean of the trees' answers to codes (N, features), (N,), in double precision."""
    rows, total = np.arange(len(codes)), np.zeros(len(codes))
    for tree in trees:
        node = np.zeros(len(codes), dtype=np.int64)
        while (inner := tree.left[node] >= 0).any():
            goes_left = codes[rows, np.where(inner, tree.feature[node], 0)] <= tree.threshold[node]
            child = np.where(goes_left, tree.left[node], tree.right[node])
            node = np.where(inner, child, node)
        total += tree.value[node]
    return total / len(trees)


def forest_to_onnx(trees: Sequence[ForestTree], features: int) -> Any:
    """The model: input ``codes`` (N, features) float32, output ``top1_pct`` (N, 1)."""
    from onnx import TensorProto, helper

    sizes = [len(tree.left) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    left, right, feature, threshold, value = (
        np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("left", "right", "feature", "threshold", "value")
    )
    leaf = left < 0
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["codes"],
        ["top1_pct"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="AVERAGE",
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=np.where(leaf, 0, feature).tolist(),
        nodes_values=np.where(leaf, 0, _rounded_down(threshold)).tolist(),
        nodes_truenodeids=np.where(leaf, 0, left).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, right).tolist(),
        nodes_hitrates=[1.0] * len(leaf),
        nodes_missing_value_tracks_true=[0] * len(leaf),
        target_treeids=tree_ids[leaf].tolist(),
        target_nodeids=node_ids[leaf].tolist(),
        target_ids=[0] * int(leaf.sum()),
        target_weights=value[leaf].tolist(),
    )
    codes = helper.make_tensor_value_info("codes", TensorProto.FLOAT, [None, features])
    answer = helper.make_tensor_value_info("top1_pct", TensorProto.FLOAT, [None, 1])
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    graph = helper.make_graph([node], "accuracy_predictor", [codes], [answer])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="anas-zoo")


def _rounded_down(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The largest float32 that is not above: then every float32 goes the way it goes in scikit-learn."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
