from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from exported_digits import SIDE, TARGET, images, proto, smallest, write_file
from onnx import helper, numpy_helper
from test_checks import rename_input

from anas_zoo.core.errors import (
    AgreementError,
    ConstantOutputError,
    DataError,
    ExportError,
    InterfaceError,
    NonFiniteError,
    ParityError,
)
from anas_zoo.entry import Parity
from anas_zoo.exporting import Target, validate_onnx

COUNT = 100  # one whole batch of the pass over all images, and a part of one


def labels() -> torch.Tensor:
    """Labels that the network gets right, but for the first quarter of the images."""
    with torch.no_grad():
        best: torch.Tensor = smallest()(images(COUNT)).argmax(1)
    best[: COUNT // 4] = (best[: COUNT // 4] + 1) % 10
    return best


def tamper_weight(model: onnx.ModelProto, name: str, factor: float) -> None:
    weight = next(w for w in model.graph.initializer if w.name == name)
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), name))


def wrong_layer(model: onnx.ModelProto) -> None:
    tamper_weight(model, "stages.1.0.expand.conv.weight", 1.2)


def overflow(model: onnx.ModelProto) -> None:
    tamper_weight(model, "mix.weight", 1e38)


def constant(model: onnx.ModelProto) -> None:
    tamper_weight(model, "classifier.weight", 0.0)


def reverse_batch(model: onnx.ModelProto) -> None:
    """Right logits of the wrong images, which only shows with more than one image in a batch."""
    last = model.graph.node[-1]
    last.output[0] = "in_order"
    for name, value in (("minus_one", [-1]), ("to", [-(2**62)]), ("axis", [0])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.int64), name))
    inputs = ["in_order", "minus_one", "to", "axis", "minus_one"]
    model.graph.node.append(helper.make_node("Slice", inputs, ["logits"]))


def drop_images(model: onnx.ModelProto) -> None:
    last = model.graph.node[-1]
    last.output[0] = "all"
    for name, value in (("from", [0]), ("to", [5]), ("axis", [0])):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.int64), name))
    model.graph.node.append(helper.make_node("Slice", ["all", "from", "to", "axis"], ["logits"]))


def needs_six(model: onnx.ModelProto) -> None:
    """Adds zero times the logits of the sixth image: right where there is one, an error where not."""
    model.graph.node[-1].output[0] = "plain"
    model.graph.initializer.append(numpy_helper.from_array(np.array([5], dtype=np.int64), "sixth"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1), dtype=np.float32), "zero"))
    model.graph.node.append(helper.make_node("Gather", ["plain", "sixth"], ["row"]))
    model.graph.node.append(helper.make_node("Mul", ["row", "zero"], ["nothing"]))
    model.graph.node.append(helper.make_node("Add", ["plain", "nothing"], ["logits"]))


def test_parity_of_a_real_file(tmp_path: Path) -> None:
    subnet = smallest().train()
    report = validate_onnx(write_file(tmp_path / "a.onnx"), subnet, images(COUNT), labels(), target=TARGET)
    assert report.images == COUNT
    assert report.batch_sizes == (1, 2, 3, 7, 32)
    assert 0 <= report.max_abs_logit_diff < 1e-5
    assert report.top1_agreement_pct == 100.0
    assert report.top1_pct == report.torch_top1_pct == 75.0
    assert report.target == "ort-cpu-fp32"
    assert report.runtime is not None
    assert report.runtime.startswith("onnxruntime 1.")
    assert Parity.model_validate(json.loads(json.dumps(report.to_dict()))) == report
    assert subnet.training


def test_labels_may_be_unknown_and_images_few(tmp_path: Path) -> None:
    report = validate_onnx(
        write_file(tmp_path / "a.onnx"), smallest(), images(3), None, target=TARGET, batch_sizes=(1, 32)
    )
    assert report.top1_pct is None
    assert report.images == 3


@pytest.mark.parametrize(
    ("tamper", "error", "said"),
    [
        (wrong_layer, ParityError, "logits differ by .* in batches of 64, at most 0.001 is allowed"),
        (overflow, NonFiniteError, r"not finite for \d+ of 100 images"),
        (constant, ConstantOutputError, "the same for all 100 images"),
        (rename_input, InterfaceError, r"inputs are \['x'\], needed is \['image'\]"),
        (needs_six, ParityError, r"onnxruntime .* cannot run a batch of 1 \("),
        (drop_images, InterfaceError, "a batch of 64 gives 5 rows"),
        (reverse_batch, ParityError, "logits differ by .* in a batch of 7"),
    ],
)
def test_every_gate_fires(
    tmp_path: Path,
    tamper: Callable[[onnx.ModelProto], None],
    error: type[ExportError],
    said: str,
) -> None:
    model = proto()
    tamper(model)
    path = write_file(tmp_path / "bad.onnx", model)
    with pytest.raises(ExportError, match=said) as caught:
        validate_onnx(path, smallest(), images(COUNT), labels(), target=TARGET)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_top1_is_a_gate_of_its_own(tmp_path: Path) -> None:
    """Logits within a generous tolerance that rank the classes differently are refused all the same."""
    model = proto()
    tamper_weight(model, "stages.1.0.expand.conv.weight", 1.03)
    tolerances = TARGET.tolerances.model_dump()
    tolerances["max_abs_logit_diff"]["value"] = 0.02
    generous = Target.model_validate(TARGET.model_dump() | {"tolerances": tolerances})
    path = write_file(tmp_path / "bad.onnx", model)
    with pytest.raises(
        AgreementError, match=r"top-1 agrees for \d+\.\d+ % of the images, 99.9 % is needed"
    ) as e:
        validate_onnx(path, smallest(), images(COUNT), labels(), target=generous)
    assert "differ" not in str(e.value)


def test_the_file_of_another_network_or_size(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.onnx")
    with pytest.raises(InterfaceError, match=rf"input is \[3, {SIDE}, {SIDE}\] per image"):
        validate_onnx(path, smallest(), images(8, SIDE + 4), None, target=TARGET)
    other = smallest()
    other.reset_classifier(7)
    with pytest.raises(InterfaceError, match=r"output is \[10\] per image, the network's is \[7\]"):
        validate_onnx(path, other, images(8), None, target=TARGET)


def test_data_that_does_not_fit(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.onnx")
    with pytest.raises(DataError, match="at least one"):
        validate_onnx(path, smallest(), images(0), None, target=TARGET)
    with pytest.raises(DataError, match="float32"):
        validate_onnx(path, smallest(), images(8).double(), None, target=TARGET)
    with pytest.raises(DataError, match="as many labels"):
        validate_onnx(path, smallest(), images(8), torch.zeros(7), target=TARGET)
    with pytest.raises(DataError, match="batch sizes"):
        validate_onnx(path, smallest(), images(8), None, target=TARGET, batch_sizes=(0,))
