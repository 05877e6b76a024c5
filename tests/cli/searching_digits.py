"""A run of the digits that can be searched at once, and a predictor of any space."""

from __future__ import annotations

from pathlib import Path

import torch
from onnx import TensorProto, helper, save

from anas_zoo.nets import Supernet
from anas_zoo.pipeline import Recipe, Run
from anas_zoo.space import SearchSpace

SETTINGS = ["search.calibration_images=64", "search.images=60", "search.views=1"]
SETTINGS += ["search.surrogate={initial: 6, batch: 3, population: 20, generations: 3}"]


def make_run(folder: Path) -> Path:
    """With a supernet that nobody trained: searching it is as much work."""
    run = Run.start(folder, Recipe.load("digits", settings=SETTINGS))
    supernet = Supernet(run.space, 10, generator=torch.Generator().manual_seed(0))
    run.write_supernet(run.supernet_folder, supernet)
    return folder


def write_predictor(path: Path, space: str, scale: float = 0.3) -> Path:
    """The mean of a code, scaled, as its accuracy."""
    genes, value = SearchSpace.load(space).genes.count, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["arch"], ["mean"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["mean", "scale"], ["out"]),
        ],
        "mean",
        [value("arch", TensorProto.FLOAT, ["n", genes])],
        [value("out", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [], [scale])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path
