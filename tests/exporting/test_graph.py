"""The written graph: equal to torch and to torch's own exporter, clean, and the same in every opset."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from exported_digits import SPACE, calibrated, folded, folded_of, images, smallest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from random_spaces import space_configs

from anas_zoo.core.errors import ExportError
from anas_zoo.exporting.graph import fold_batch_norm, write_graph
from anas_zoo.nets import Subnet
from anas_zoo.space import SpaceConfig

ARCHS = {
    "smallest": SPACE.smallest,
    "largest": SPACE.largest,
    "random": SPACE.sample(np.random.default_rng(5)),
}


def run(model: onnx.ModelProto, batch: torch.Tensor) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    logits: npt.NDArray[np.float32] = session.run(None, {"image": batch.numpy()})[0]
    return logits


@pytest.mark.parametrize("opset", [17, 18, 20, 22])
def test_every_opset_computes_the_same(opset: int) -> None:
    network, batch = folded(SPACE.smallest), images(3, seed=8)
    model = write_graph(network, SPACE.smallest.resolution, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    with torch.no_grad():
        np.testing.assert_allclose(run(model, batch), network(batch).numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHS)
def test_it_is_what_torchs_exporter_writes(name: str) -> None:
    """An exporter that shares no line with ours, on the network with its batch norms."""
    arch = ARCHS[name]
    subnet, side = calibrated(arch), arch.resolution
    program = torch.onnx.export(
        subnet,
        (images(2, side),),
        dynamo=True,
        input_names=["image"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    theirs = program.model_proto
    ours = write_graph(fold_batch_norm(subnet, images(2)), side, opset=17)
    batch = images(5, side, seed=4)
    np.testing.assert_allclose(run(ours, batch), run(theirs, batch), atol=1e-5)


def double(network: Subnet, side: int, batch: torch.Tensor) -> npt.NDArray[Any]:
    """Computed in float64 by onnx's reference implementation."""
    model = write_graph(network, side, opset=17, dtype=torch.float64)
    cast = model.graph.node[-1]
    assert cast.op_type == "Cast"
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info(cast.input[0], onnx.TensorProto.DOUBLE, ["batch", 10])
    )
    del model.graph.node[-1]
    logits: npt.NDArray[Any] = ReferenceEvaluator(model).run(None, {"image": batch.numpy()})[0]
    assert logits.dtype == np.float64
    return logits


@pytest.mark.parametrize("side", [SPACE.smallest.resolution, SPACE.smallest.resolution + 1])
def test_it_is_exact_in_double_precision(side: int) -> None:
    network, batch = folded(SPACE.smallest), images(2, side, seed=6)
    plain = double(network, side, batch)
    with torch.no_grad():
        expected = network.double()(batch.double()).numpy()
    # ONNX keeps the hard sigmoid's slope, 1/6, in single precision.
    np.testing.assert_allclose(plain, expected, rtol=0, atol=1e-7 * np.abs(plain).max())


# ONNX's reference computes a sigmoid's exponentials of both signs and takes the one that is finite.
@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, database=None)
def test_so_it_is_for_any_structure(config: SpaceConfig, seed: int) -> None:
    network, batch = folded_of(config, seed)
    model = write_graph(network, network.arch.resolution, opset=17, dtype=torch.float64)
    onnx.checker.check_model(model, full_check=True)
    logits = ReferenceEvaluator(model).run(None, {"image": batch.numpy()})[0]
    with torch.no_grad():
        # Its weights are rounded to single precision, which batch norms of channels that hardly vary enlarge.
        expected = network.double()(batch.double()).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(expected).max()))


def test_the_graph_is_clean() -> None:
    network = folded(SPACE.largest)
    model = write_graph(network, SPACE.largest.resolution, opset=17)
    found = Counter(node.op_type for node in model.graph.node)
    assert set(found) <= {
        *("Conv", "Sigmoid", "Mul", "Relu", "HardSigmoid", "GlobalAveragePool", "AveragePool", "Add"),
        *("Flatten", "Gemm"),
    }
    gates = sum(isinstance(layer, torch.nn.Hardsigmoid) for layer in network.modules())
    assert found["HardSigmoid"] == gates
    assert found["GlobalAveragePool"] == gates + 1
    parameters = {name for name, _ in network.named_parameters()}
    assert {weight.name for weight in model.graph.initializer} == parameters


def test_half_precision_is_close_and_half_the_size() -> None:
    network, batch = folded(SPACE.largest), images(4, SPACE.largest.resolution, seed=3)
    single = write_graph(network, SPACE.largest.resolution, opset=17)
    half = write_graph(network, SPACE.largest.resolution, opset=17, dtype=torch.float16)
    assert len(half.SerializeToString()) < 0.6 * len(single.SerializeToString())
    want = run(single, batch)
    difference = float(np.abs(run(half, batch) - want).max())
    assert 0 < difference < 0.01 * max(1.0, float(np.abs(want).max()))


def test_a_fixed_batch_is_in_the_file() -> None:
    model = write_graph(folded(SPACE.smallest), SPACE.smallest.resolution, opset=17, batch=4)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    onnx.checker.check_model(model, full_check=True)


def test_batch_norm_that_is_not_folded_is_refused() -> None:
    with pytest.raises(ExportError, match="stem: its BatchNorm2d is not folded"):
        write_graph(smallest(), SPACE.smallest.resolution, opset=17)
