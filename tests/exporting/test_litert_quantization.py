"""LiteRT files in int8: as accurate as in float, a quarter as large, with parts in float where asked for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from catalog_entries import FIRST_FORMAT

from anas_zoo.core.errors import QuantizationError
from anas_zoo.core.extras import MissingPackageError
from anas_zoo.data import DigitsSource, eval_tensor
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target, check_file
from anas_zoo.exporting.checks import Interface
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.pipeline.export import export_entry
from anas_zoo.zoo import entry_folder, load_subnet

TARGET = Target.load("litert-int8")
FOLDER = entry_folder("digits_l")
FILE = "model.litert-int8.tflite"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("manifest.json")
    return Path(shutil.copytree(FOLDER, tmp_path / "draft", ignore=ignored))


def test_a_draft_gets_it_through_all_gates(draft: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = export_entry(draft, "litert-int8", data="digits")
    assert capfd.readouterr().out == ""
    assert made.path == draft / FILE
    info = Entry.read(draft).report.files[FILE]
    assert info.parity is not None
    assert info.parity.top1_agreement_pct >= 95
    assert info.quantization is not None
    assert info.quantization.images == 512
    assert (info.quantization.float_size_bytes or 0) > 3 * info.size_bytes
    assert info.quantization.speedup > 0
    assert check_file(draft / FILE, TARGET) == Interface((3, 12, 12), 10)


def of_digits(keep_float: tuple[str, ...] = (), folder: Path = FOLDER) -> tuple[bytes, torch.Tensor]:
    """A file, and the images that it was calibrated on."""
    subnet, source = load_subnet(folder), DigitsSource()
    side = subnet.arch.resolution
    images = eval_tensor(source, range(256), source.preprocessing, side)
    assert TARGET.quantization is not None
    how = TARGET.quantization.model_copy(update={"keep_float": keep_float})
    target = TARGET.model_copy(update={"quantization": how})
    content = convert(subnet, target=target, resolution=side, metadata={"a": "b"}, calibration_images=images)
    return content, images


def test_it_is_as_accurate_as_in_float(tmp_path: Path) -> None:
    content, images = of_digits()
    (tmp_path / FILE).write_bytes(content)
    runner = open_runner(tmp_path / FILE, TARGET)
    assert not isinstance(runner, str)
    labels = DigitsSource().labels[:256]
    with torch.no_grad():
        logits = load_subnet(FOLDER)(images).numpy()
    quantized = runner.run(images.numpy())
    assert abs(float((quantized.argmax(1) == labels).mean() - (logits.argmax(1) == labels).mean())) < 0.01
    assert 0 < abs(quantized - logits).max() < 0.2 * abs(logits).max()
    assert content == of_digits()[0]


def test_hard_swish_is_written_as_operators_that_have_int8_kernels(tmp_path: Path) -> None:
    """LiteRT computes its own HARD_SWISH of integers outside of XNNPACK, and slowly."""
    given, source = load_subnet(FOLDER), DigitsSource()
    side = given.arch.resolution
    images = eval_tensor(source, range(256), source.preprocessing, side)
    subnet = Subnet(given.arch, given.structure.simplified(act="hard_swish"), num_classes=10)
    subnet.load_state_dict(given.state_dict())
    calibrate_bn(subnet, [images])
    content = convert(subnet.eval(), target=TARGET, resolution=side, metadata={}, calibration_images=images)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    assert schema.BuiltinOperator.HARD_SWISH not in {code.builtinCode for code in model.operatorCodes}
    (tmp_path / FILE).write_bytes(content)
    runner = open_runner(tmp_path / FILE, TARGET)
    assert not isinstance(runner, str)
    with torch.no_grad():
        logits = subnet(images).numpy()
    quantized = runner.run(images.numpy())
    assert 0 < abs(quantized - logits).max() < 0.2 * abs(logits).max()
    assert (quantized.argmax(1) == logits.argmax(1)).mean() > 0.97


def test_ranges_are_those_of_all_images(tmp_path: Path) -> None:
    """A few large values among many small ones are in them, where a moving average would cut them off."""
    subnet = load_subnet(FOLDER)
    side = subnet.arch.resolution
    images = 0.25 * torch.randn(128, 3, side, side, generator=torch.Generator().manual_seed(0))
    images[::32] *= 8
    content = convert(subnet, target=TARGET, resolution=side, metadata={}, calibration_images=images)
    (tmp_path / FILE).write_bytes(content)
    runner = open_runner(tmp_path / FILE, TARGET)
    assert not isinstance(runner, str)
    large = images[::32]
    with torch.no_grad():
        wanted = subnet(large).numpy()
    assert abs(runner.run(large.numpy()) - wanted).max() < 0.15 * abs(wanted).max()


def float_convolutions(content: bytes) -> list[str]:
    """The convolutions that compute in float, by the names of their weights."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    kinds = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    weights = [
        graph.tensors[one.inputs[1]]
        for one in graph.operators
        if model.operatorCodes[one.opcodeIndex].builtinCode in kinds
    ]
    return sorted(one.name.decode() for one in weights if one.type == schema.TensorType.FLOAT32)


@pytest.mark.parametrize("folder", [FOLDER, FIRST_FORMAT], ids=["plain", "inverted"])
def test_parts_stay_in_float(folder: Path) -> None:
    assert float_convolutions(of_digits((), folder)[0]) == []
    assert float_convolutions(of_digits(("stem",), folder)[0]) == ["stem.conv.weight"]
    found = float_convolutions(of_digits(("stages.0", "head"), folder)[0])
    subnet = load_subnet(folder)
    convolutions = {
        f"{name}.weight"
        for name, module in subnet.named_modules()
        if isinstance(module, torch.nn.Conv2d) and name.startswith(("stages.0.", "head."))
    }
    assert set(found) == convolutions


def test_too_few_images_and_a_missing_package_are_said(draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QuantizationError, match="is not in a run, so its training images are not known"):
        export_entry(draft, "litert-int8")
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(MissingPackageError, match=r"ai-edge-quantizer is not installed; run: .*\[litert\]"):
        export_entry(draft, "litert-int8", data="digits")
    assert not (draft / FILE).exists()
