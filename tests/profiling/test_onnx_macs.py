"""Counts on graphs: the shelf's own files, what onnxruntime makes of them, and small graphs made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

from anas_zoo.core.errors import ProfileError
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import OnnxMacs
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.profiling.onnx_ops import COUNTED, ZERO_MACS
from anas_zoo.space import macs_by_kind, network_layers
from anas_zoo.zoo import Entry

SHELF = resource_folder("models")
PLAIN = SHELF / "digits_s" / "model.onnx"


class Images(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        noise = np.random.default_rng(0).standard_normal((4, 1, 3, 6, 6), dtype=np.float32)
        self.images = iter([{"image": image} for image in noise])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.images, None)


def model(
    nodes: Sequence[Any],
    weights: dict[str, tuple[int, ...]],
    *,
    image: Sequence[int | str] = ("batch", 3, 8, 8),
    kind: int = TensorProto.FLOAT,
) -> Any:
    ones = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    inputs = [helper.make_tensor_value_info("image", kind, image)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, ones)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def counted(path: Path, made: Any, **options: Any) -> OnnxMacs:
    onnx.save_model(made, str(path))
    return count_onnx_macs(path, **options)


@pytest.mark.parametrize("name", ["digits_s", "digits_m", "digits_l"])
def test_a_plain_file_counts_exactly_what_the_architecture_does(name: str) -> None:
    config = Entry.read(SHELF / name).config
    layers = network_layers(config.model_args.structure, config.arch, config.num_classes)
    found = count_onnx_macs(SHELF / name / "model.onnx")
    assert found.macs == sum(found.by_operator.values()) == sum(layer.macs for layer in layers)
    assert found.by_kind == macs_by_kind(layers)
    assert found.weights == sum(layer.weights for layer in layers)
    assert found.weights + found.biases == sum(layer.folded_params for layer in layers)
    assert found.preprocessing_macs == {}
    assert OnnxMacs.model_validate(json.loads(found.model_dump_json())) == found


def quantised(path: Path, form: str) -> None:
    if form == "dynamic":
        quantization.quantize_dynamic(PLAIN, path)
        return
    layout = quantization.QuantFormat.QOperator if form == "operators" else quantization.QuantFormat.QDQ
    first = path.with_suffix(".first.onnx")
    quantization.quantize_static(
        PLAIN,
        first,
        Images(),
        quant_format=layout,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
    )
    if form == "channels last":  # as onnxruntime lays it out for the CPU
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(first), options, providers=["CPUExecutionProvider"])
    else:
        first.rename(path)


@pytest.mark.parametrize(
    ("form", "operators"),
    [
        ("qdq", {"Conv", "Gemm"}),
        ("operators", {"QLinearConv", "com.microsoft.QGemm"}),
        ("channels last", {"com.microsoft.QLinearConv", "com.microsoft.QGemm"}),
        ("dynamic", {"ConvInteger", "MatMulInteger"}),
    ],
)
def test_a_quantised_file_counts_as_the_plain_one(form: str, operators: set[str], tmp_path: Path) -> None:
    quantised(tmp_path / "q.onnx", form)
    found, plain = count_onnx_macs(tmp_path / "q.onnx"), count_onnx_macs(PLAIN)
    assert set(found.by_operator) == operators
    changed = {"by_operator": plain.by_operator}
    assert found.model_copy(update=changed) == plain


def test_fused_operators_count_as_what_they_fuse(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(PLAIN), options, providers=["CPUExecutionProvider"])
    found = count_onnx_macs(tmp_path / "fused.onnx")
    assert found.by_operator["com.microsoft.FusedConv"] > 0
    assert (found.macs, found.weights, found.biases) == (57_624, 13_976, 330)


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


def test_matrix_products_groups_and_shared_weights(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["image", "k", "kb"], ["x"], group=3),
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
        helper.make_node("Add", ["y", "mb"], ["z"]),
        helper.make_node("MatMul", ["z", "s"], ["u"]),
        helper.make_node("MatMul", ["u", "s"], ["v"]),
        helper.make_node("Gemm", ["v", "g"], ["logits"], transB=1),
    ]
    weights = {"k": (6, 1, 3, 3), "kb": (6,), "m": (6 * 36, 5), "mb": (5,), "s": (5, 5), "g": (7, 5)}
    found = counted(tmp_path / "x.onnx", model(nodes, weights))
    assert found.by_operator == {"Conv": 6 * 9 * 36, "MatMul": 216 * 5 + 50, "Gemm": 35}
    assert (found.weights, found.biases) == (54 + 1080 + 25 + 35, 11)


def preprocessing() -> Iterator[Any]:
    """uint8 images of any size to (1, 3, 8, 8) by a matrix for each axis, as large as the image."""
    yield helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)
    yield helper.make_node("Shape", ["image"], ["shape"])
    yield helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    moves = [helper.make_node("Transpose", ["float"], [f"chw{i}"], perm=[0, 3, 1, 2]) for i in (0, 1)]
    ends = [helper.make_empty_tensor_value_info(f"chw{i}") for i in (0, 1)]
    one, other = (helper.make_graph([moves[i]], f"branch{i}", [], [ends[i]]) for i in (0, 1))
    yield helper.make_node("If", ["true"], ["chw"], then_branch=one, else_branch=other)
    for axis, name in ((1, "h"), (2, "w")):
        yield helper.make_node("Constant", [], [f"{name}i"], value_ints=[axis])
        yield helper.make_node("Gather", ["shape", f"{name}i"], [name])
    yield helper.make_node("Constant", [], ["side"], value_ints=[8])
    yield helper.make_node("Concat", ["side", "h"], ["hs"], axis=0)
    yield helper.make_node("Concat", ["w", "side"], ["ws"], axis=0)
    yield helper.make_node("ConstantOfShape", ["hs"], ["rows"])
    yield helper.make_node("ConstantOfShape", ["ws"], ["columns"])
    yield helper.make_node("MatMul", ["rows", "chw"], ["low"])
    yield helper.make_node("MatMul", ["low", "columns"], ["square"])


def test_preprocessing_inside_the_file_is_counted_apart(tmp_path: Path) -> None:
    nodes = [*preprocessing(), helper.make_node("Conv", ["square", "k"], ["logits"])]
    made = model(nodes, {"k": (4, 3, 3, 3)}, image=("batch", "h", "w", 3), kind=TensorProto.UINT8)
    found = counted(tmp_path / "u8.onnx", made, image_size=(20, 30))
    assert found.macs == 4 * 27 * 36
    assert found.by_kind == {"stem": found.macs}
    assert found.preprocessing_macs == {"MatMul": 3 * 8 * 30 * 20 + 3 * 8 * 8 * 30}
    assert found.input_shape == (1, 20, 30, 3)
    assert found.biases == 0
    again = count_onnx_macs(tmp_path / "u8.onnx")
    assert (again.macs, again.input_shape) == (found.macs, (1, 480, 640, 3))
    with pytest.raises(ProfileError, match="at least 1 pixel, got 0×30"):
        count_onnx_macs(tmp_path / "u8.onnx", image_size=(0, 30))


def test_a_size_that_the_file_fixes_stays(tmp_path: Path) -> None:
    assert count_onnx_macs(PLAIN, image_size=(99, 99)) == count_onnx_macs(PLAIN)


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
        (conv("ConvTranspose"), ("b", 3, 8, 8), "nobody knows: ConvTranspose;"),
        (conv("Attention", domain="com.microsoft"), ("b", 3, 8, 8), "nobody knows: com.microsoft.Attention;"),
        (in_a_branch(conv()), ("b", 3, 8, 8), "nobody knows: Conv in a branch;"),
        (in_a_branch(conv("Einsum")), ("b", 3, 8, 8), "nobody knows: Einsum;"),
        (conv("Mul"), ("b", 3, 8, 8), "no convolution and no matrix product"),
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


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "half.onnx").write_bytes(PLAIN.read_bytes()[:2000])
    for name in ("text", "empty", "half"):
        with pytest.raises(ProfileError, match=rf"{name}\.onnx: not a whole ONNX file"):
            count_onnx_macs(tmp_path / f"{name}.onnx")
    with pytest.raises(ProfileError, match="no such ONNX file"):
        count_onnx_macs(tmp_path / "none.onnx")


def test_every_operator_is_counted_or_excused_and_exists() -> None:
    assert not COUNTED.keys() & ZERO_MACS.keys()
    assert all(len(reason) > 20 for reason in ZERO_MACS.values())
    standard = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    named = [*COUNTED, *ZERO_MACS]
    assert {name for name in named if not name.startswith("com.microsoft.")} <= standard
    assert not {"Einsum", "Attention", "Loop", "Scan", "ConvTranspose", "LSTM"} & {*named}
