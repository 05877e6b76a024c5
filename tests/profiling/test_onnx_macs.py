"""Counts on graphs: files of every kind that we export, and small graphs made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from anas_zoo.core.errors import ProfileError
from anas_zoo.entry import OnnxMacs, Preprocessing
from anas_zoo.exporting import Target
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.profiling.onnx_macs import COUNTED, ZERO_MACS
from anas_zoo.space import SearchSpace, macs_by_kind, network_layers

SPACE = SearchSpace.load("digits")
SIDE = SPACE.smallest.resolution


def exported(path: Path, target: str, act: str = "relu", **changes: Any) -> Path:
    """The smallest network of the digits as a file for ``target``."""
    structure = SPACE.structure.model_dump()
    for part in (structure["stem"], structure["head"], *structure["stages"]):
        part["act"] = act
    subnet = Subnet(SPACE.smallest, structure, num_classes=10)
    images = torch.randn(32, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    calibrate_bn(subnet, [images])
    settings = Target.load(target).model_copy(update=changes)
    preprocessing = Preprocessing() if "input" in changes else None
    path.write_bytes(
        convert(
            subnet,
            target=settings,
            resolution=SIDE,
            metadata={},
            preprocessing=preprocessing,
            calibration_images=images.repeat(4, 1, 1, 1),
        )
    )
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("plain") / "model.onnx", "ort-cpu-fp32")


def model(
    nodes: Sequence[Any], weights: dict[str, tuple[int, ...]], *, image: Sequence[int | str] = ("b", 3, 8, 8)
) -> Any:
    ones = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, ones)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def counted(path: Path, made: Any, **options: Any) -> OnnxMacs:
    onnx.save_model(made, str(path))
    return count_onnx_macs(path, **options)


def test_a_plain_file_counts_exactly_what_the_architecture_does(plain: Path) -> None:
    layers = network_layers(SPACE.structure, SPACE.smallest, 10)
    found = count_onnx_macs(plain)
    assert found.macs == sum(found.by_operator.values()) == sum(layer.macs for layer in layers)
    assert found.by_kind == macs_by_kind(layers)
    assert found.weights == sum(layer.weights for layer in layers)
    assert found.weights + found.biases == sum(layer.folded_params for layer in layers)
    assert found.preprocessing_macs == {}
    assert OnnxMacs.model_validate_json(found.model_dump_json()) == found
    assert count_onnx_macs(plain, image_size=(99, 99)) == found  # a size that the file fixes stays


@pytest.mark.parametrize(
    ("target", "act"), [("ort-cpu-int8", "relu"), ("ort-cuda-fp16", "hard_swish"), ("tensorrt-fp16", "silu")]
)
def test_precision_and_activation_change_nothing(target: str, act: str, plain: Path, tmp_path: Path) -> None:
    found = count_onnx_macs(exported(tmp_path / "model.onnx", target, act))
    wanted = count_onnx_macs(plain)
    assert (found.macs, found.by_kind, found.weights) == (wanted.macs, wanted.by_kind, wanted.weights)


def test_preprocessing_inside_the_file_is_counted_apart(plain: Path, tmp_path: Path) -> None:
    path = exported(tmp_path / "u8.onnx", "ort-cpu-fp32", input="uint8-nhwc")
    wanted, found = count_onnx_macs(plain), count_onnx_macs(path, image_size=(20, 30))
    assert found.by_kind == wanted.by_kind
    assert (found.weights, found.biases) == (wanted.weights, wanted.biases)
    assert found.input_shape == (1, 20, 30, 3)
    large = count_onnx_macs(path)
    assert (large.macs, large.input_shape) == (found.macs, (1, 480, 640, 3))
    assert large.preprocessing_macs["MatMul"] > found.preprocessing_macs["MatMul"] > 0
    with pytest.raises(ProfileError, match="at least 1 pixel, got 0×30"):
        count_onnx_macs(path, image_size=(0, 30))


def test_a_pooled_shortcut_as_one_convolution_is_seen_as_such(tmp_path: Path) -> None:
    stem = helper.make_node("Conv", ["image", "stem"], ["x"], strides=[1, 1], pads=[1] * 4)
    pool = helper.make_node("AveragePool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2])
    point = helper.make_node("Conv", ["p", "w"], ["logits"])
    apart = counted(
        tmp_path / "a.onnx", model([stem, pool, point], {"stem": (4, 3, 3, 3), "w": (6, 4, 1, 1)})
    )
    one = helper.make_node("Conv", ["x", "w"], ["logits"], kernel_shape=[2, 2], strides=[2, 2])
    merged = counted(tmp_path / "m.onnx", model([stem, one], {"stem": (4, 3, 3, 3), "w": (6, 4, 2, 2)}))
    assert apart.by_kind == {"stem": 3 * 4 * 9 * 64, "pointwise": 4 * 6 * 16}
    assert merged.by_kind == {"stem": 3 * 4 * 9 * 64, "pooled": 4 * 6 * 4 * 16}
    assert (apart.weights, merged.weights) == (108 + 24, 108 + 96)


def test_groups_matrix_products_and_shared_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "k", "kb"], ["x"], group=3),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
        helper.make_node("MatMul", ["y", "s"], ["u"]),
        helper.make_node("MatMul", ["u", "s"], ["v"]),
        helper.make_node("Gemm", ["v", "g"], ["logits"], transB=1),
    ]
    weights = {"k": (6, 1, 3, 3), "kb": (6,), "m": (6 * 36, 5), "s": (5, 5), "g": (7, 5)}
    found = counted(tmp_path / "x.onnx", model(nodes, weights))
    assert found.by_operator == {"Conv": 6 * 9 * 36, "MatMul": 216 * 5 + 50, "Gemm": 35}
    assert (found.weights, found.biases) == (54 + 1080 + 25 + 35, 6)


def conv(op_type: str = "Conv", **options: Any) -> Any:
    return helper.make_node(op_type, ["image", "k"], ["logits"], **options)


def in_a_branch(node: Any) -> Any:
    branch = helper.make_graph([node], "branch", [], [helper.make_empty_tensor_value_info("logits")])
    return helper.make_node("If", ["image"], ["logits"], then_branch=branch, else_branch=branch)


def test_a_fixed_batch_counts_per_image(tmp_path: Path) -> None:
    free, fixed = (
        counted(tmp_path / "x.onnx", model([conv()], {"k": (4, 3, 3, 3)}, image=(batch, 3, 8, 8)))
        for batch in ("b", 4)
    )
    assert free == fixed


@pytest.mark.parametrize(
    ("node", "image", "message"),
    [
        (conv("ConvTranspose"), ("b", 3, 8, 8), "are not known: ConvTranspose$"),
        (conv("Conv", domain="com.microsoft"), ("b", 3, 8, 8), "are not known: com.microsoft.Conv$"),
        (in_a_branch(conv()), ("b", 3, 8, 8), "are not known: Conv in a branch$"),
        (in_a_branch(conv("Einsum")), ("b", 3, 8, 8), "are not known: Einsum$"),
        (conv("Mul"), ("b", 3, 8, 8), "no convolution"),
        (conv(), ("b", 3, 8), "3 dimensions, images have 4"),
        (conv(), ("b", "c", 8, 8), "number of channels"),
        (conv(), ("b", 3, 2, 2), "onnxruntime cannot run it on an image 1×3×2×2"),
    ],
)
def test_what_cannot_be_counted_is_one_line(
    node: Any, image: tuple[int | str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        counted(tmp_path / "x.onnx", model([node], {"k": (4, 3, 3, 3)}, image=image))
    assert "\n" not in str(caught.value)
    assert "x.onnx" in str(caught.value)


def test_files_that_are_none(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "half.onnx").write_bytes(plain.read_bytes()[:2000])
    for name in ("text", "empty", "half"):
        with pytest.raises(ProfileError, match=rf"{name}\.onnx: not a whole ONNX file"):
            count_onnx_macs(tmp_path / f"{name}.onnx")
    with pytest.raises(ProfileError, match="no such ONNX file"):
        count_onnx_macs(tmp_path / "none.onnx")


def test_every_operator_is_counted_or_excused_and_exists() -> None:
    assert not COUNTED & ZERO_MACS.keys()
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert COUNTED | ZERO_MACS.keys() <= standard
