from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported_digits import SIDE, TARGET, file_bytes, proto, write_file
from onnx import helper, numpy_helper

from anas_zoo.core.errors import ExportError
from anas_zoo.exporting import check_file
from anas_zoo.exporting.checks import Interface


def rename_input(model: onnx.ModelProto) -> None:
    old = model.graph.input[0].name
    model.graph.input[0].name = "x"
    for node in model.graph.node:
        node.input[:] = ["x" if name == old else name for name in node.input]


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "y"


def freeze_batch(model: onnx.ModelProto) -> None:
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def free_side(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "side"


def poison_weight(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def halve_weight(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))


def other_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 20


def custom_operators(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def break_the_graph(model: onnx.ModelProto) -> None:
    model.graph.node[5].input[0] = "nowhere"


def no_graph(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def test_the_real_file_passes(tmp_path: Path) -> None:
    assert check_file(write_file(tmp_path / "a.onnx"), TARGET) == Interface((3, SIDE, SIDE), 10)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (rename_input, r"inputs are \['x'\], needed is \['image'\]"),
        (rename_output, r"outputs are \['y'\], needed is \['logits'\]"),
        (freeze_batch, "batch of its input is 1, .*batch of its output is 1, "),
        (free_side, "only the batch may be free"),
        (poison_weight, "stem.conv.weight has values that are not finite"),
        (halve_weight, "stem.conv.weight is float16"),
        (other_opset, "operator sets are ai.onnx 20, needed is ai.onnx 17 alone"),
        (custom_operators, "com.example 1"),
        (break_the_graph, "checker refuses it .*nowhere"),
        (no_graph, "no graph"),
    ],
)
def test_every_fault_is_found(tmp_path: Path, tamper: Callable[[onnx.ModelProto], None], said: str) -> None:
    model = proto()
    tamper(model)
    with pytest.raises(ExportError, match=said) as caught:
        check_file(write_file(tmp_path / "bad.onnx", model), TARGET)
    assert "\n" not in str(caught.value)
    assert "bad.onnx" in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    model = proto()
    for tamper in (rename_input, poison_weight, custom_operators):
        tamper(model)
    with pytest.raises(ExportError, match=r"inputs are .* not finite; .*com\.example 1"):
        check_file(write_file(tmp_path / "bad.onnx", model), TARGET)


@pytest.mark.parametrize("cut", [0, 100, 0.999])
def test_a_truncated_file_is_one_line(tmp_path: Path, cut: float) -> None:
    content = file_bytes()
    end = int(cut * len(content)) if isinstance(cut, float) else cut
    with pytest.raises(ExportError, match=r"bad\.onnx") as caught:
        check_file(write_file(tmp_path / "bad.onnx", content[:end]), TARGET)
    assert "\n" not in str(caught.value)


def test_foreign_bytes_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not a whole ONNX file"):
        check_file(write_file(tmp_path / "bad.onnx", b"PK\x03\x04 a zip archive"), TARGET)
    with pytest.raises(ExportError, match="no such ONNX file"):
        check_file(tmp_path / "none.onnx", TARGET)
    with pytest.raises(ExportError, match="no such ONNX file"):
        check_file(tmp_path, TARGET)
