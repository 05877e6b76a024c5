from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from block_kinds import EVERY_KIND
from exported_digits import SPACE, folded, images
from onnx import numpy_helper

from anas_zoo.core.errors import QuantizationError
from anas_zoo.data import DigitsSource, SplitRecipe, eval_tensor, make_split
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.exporting.graph import fold_batch_norm, write_graph
from anas_zoo.exporting.quantization import part_of, quantize
from anas_zoo.exporting.target import KINDS, Quantization
from anas_zoo.nets import Subnet
from anas_zoo.zoo import entry_folder, load_subnet

TARGET = Target.load("ort-cpu-int8")
assert TARGET.quantization is not None
HOW = TARGET.quantization


def how(**changes: object) -> Quantization:
    return Quantization.model_validate(HOW.model_dump() | {"min_images": 1} | changes)


@functools.cache
def float_model() -> onnx.ModelProto:
    model: onnx.ModelProto = write_graph(folded(SPACE.largest), SPACE.largest.resolution, opset=17)
    return model


@functools.cache
def int8_model(*keep_float: str) -> onnx.ModelProto:
    calibration = images(40, SPACE.largest.resolution, seed=12)
    model: onnx.ModelProto = quantize(float_model(), calibration, how(keep_float=keep_float))
    return model


def test_every_node_has_its_part() -> None:
    found = {part_of(node.name) for node in float_model().graph.node}
    assert found == {*KINDS, None} - {"dense"}
    torch.manual_seed(0)
    network = Subnet(EVERY_KIND.largest, EVERY_KIND.structure, num_classes=10).eval()
    nodes = write_graph(fold_batch_norm(network, images(2, 16)), 16, opset=17).graph.node
    assert {part_of(node.name) for node in nodes} == {*KINDS, None} - {"shortcut", "mix"}
    without = {node.op_type for node in float_model().graph.node if part_of(node.name) is None}
    assert without == {"Add", "GlobalAveragePool", "Mul", "Flatten"}
    weights = {weight.name.rsplit(".", 1)[0] for weight in float_model().graph.initializer}
    assert all(part_of(name) for name in weights)


def weights_in_int8(model: onnx.ModelProto) -> set[str]:
    eight = (onnx.TensorProto.INT8, onnx.TensorProto.INT32)  # biases have 32 bits
    names = {w.name for w in model.graph.initializer if w.data_type in eight and len(w.dims)}
    return {name.removesuffix("_quantized") for name in names if name.endswith("_quantized")}


def test_every_weight_is_quantized() -> None:
    assert weights_in_int8(int8_model()) == {weight.name for weight in float_model().graph.initializer}
    content, whole = int8_model().SerializeToString(), float_model().SerializeToString()
    assert len(content) < 0.5 * len(whole)
    onnx.checker.check_model(int8_model(), full_check=True)


@pytest.mark.parametrize("part", ["se", "shortcut"])
def test_a_part_that_stays_in_float(part: str) -> None:
    names = {weight.name for weight in float_model().graph.initializer}
    kept = names - weights_in_int8(int8_model(part))
    assert kept == {name for name in names if part_of(name) == part}


def test_a_stage_that_stays_in_float() -> None:
    names = {weight.name for weight in float_model().graph.initializer}
    kept = names - weights_in_int8(int8_model("stages.1"))
    assert kept == {name for name in names if name.startswith("stages.1.")}


def test_a_block_that_stays_in_float() -> None:
    calibration = images(40, SPACE.largest.resolution, seed=12)
    model = quantize(float_model(), calibration, how(keep_float=["se"], keep_parts=["stages.1.0", "head"]))
    names = {weight.name for weight in float_model().graph.initializer}
    kept = names - weights_in_int8(model)
    assert kept == {
        name for name in names if part_of(name) == "se" or name.startswith(("stages.1.0.", "head."))
    }


def test_seven_bits_where_the_range_is_reduced() -> None:
    largest = max(
        int(np.abs(numpy_helper.to_array(weight).astype(np.int32)).max())
        for weight in int8_model().graph.initializer
        if weight.data_type == onnx.TensorProto.INT8 and len(weight.dims) == 4
    )
    assert largest == 64


def test_the_same_images_give_the_same_bytes(capfd: pytest.CaptureFixture[str]) -> None:
    calibration = images(40, SPACE.largest.resolution, seed=12)
    again = quantize(float_model(), calibration, how(keep_float=()))
    assert again.SerializeToString(deterministic=True) == int8_model().SerializeToString(deterministic=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_histograms_are_of_any_number_of_images(method: str) -> None:
    calibration = images(37, SPACE.largest.resolution, seed=12)
    model = quantize(float_model(), calibration, how(method=method))
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("count", [None, 99])
def test_too_few_images_are_refused(count: int | None) -> None:
    few = None if count is None else images(count, SPACE.largest.resolution)
    with pytest.raises(QuantizationError, match=rf"at least 100 calibration images .* got {count or 0};"):
        quantize(float_model(), few, HOW)


@pytest.mark.slow
def test_a_trained_network_keeps_its_accuracy(tmp_path: Path) -> None:
    """Real weights, real images: the gate on the drop is part of the export."""
    folder = entry_folder("digits_m")
    config = Entry.read(folder).config
    source, side = DigitsSource(), config.arch.resolution
    preprocessing = config.anas.preprocessing
    split = make_split(source, SplitRecipe(), seed=0)
    test, train = list(split.test), list(split.train)
    report = export_onnx(
        load_subnet(folder),
        tmp_path / "model.onnx",
        target=TARGET,
        resolution=side,
        metadata={},
        images=eval_tensor(source, test, preprocessing, side),
        labels=torch.from_numpy(source.labels[test]),
        calibration_images=eval_tensor(source, train[:512], preprocessing, side),
    )
    assert report.parity is not None
    assert report.parity.top1_pct is not None
    assert report.parity.torch_top1_pct is not None
    assert report.parity.top1_pct >= report.parity.torch_top1_pct - 1.0
    # So small a network is mostly its graph, and int8 has more nodes.
    assert report.size_bytes < 0.9 * (folder / "model.onnx").stat().st_size
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["anas.onnxruntime"] == onnxruntime.__version__
