"""LiteRT files: every structure computes what torch does, for any number of images; others are refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from catalog_entries import FIRST_FORMAT
from exported_digits import folded_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import space_configs

from anas_zoo.cli import main
from anas_zoo.core.errors import (
    ConfigError,
    EntryError,
    ExportError,
    InterfaceError,
    NonFiniteError,
    ParityError,
)
from anas_zoo.core.extras import MissingPackageError
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target, check_file, export_onnx, validate_onnx
from anas_zoo.exporting.checks import Interface
from anas_zoo.exporting.graph import fold_batch_norm, write_graph
from anas_zoo.exporting.litert import IDENTIFIER, to_litert
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.export import export_entry
from anas_zoo.pipeline.profile import profile
from anas_zoo.pipeline.validate import validate
from anas_zoo.space import SpaceConfig
from anas_zoo.zoo import Classifier, entry_folder, load_subnet, publish, verify
from anas_zoo.zoo.verifying import check_onnx_files

TARGET = Target.load("litert-fp32")
FILE = "model.litert-fp32.tflite"


def run(content: bytes, images: torch.Tensor) -> npt.NDArray[np.float32]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    (place,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(place["index"], list(images.shape))
    interpreter.allocate_tensors()
    interpreter.set_tensor(place["index"], images.numpy())
    interpreter.invoke()
    logits: npt.NDArray[np.float32] = interpreter.get_tensor(result["index"])
    return logits


@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, database=None)
def test_any_structure_computes_what_torch_does(config: SpaceConfig, seed: int) -> None:
    folded, batch = folded_of(config, seed)
    content = to_litert(write_graph(folded, folded.arch.resolution, opset=17), {})
    with torch.no_grad():
        expected = folded.double()(batch.double()).numpy()
    largest = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(run(content, batch), expected, rtol=1e-3, atol=1e-3 * largest)


def a_file(folder: Path = FIRST_FORMAT) -> tuple[bytes, Subnet, torch.Tensor]:
    subnet, images = load_subnet(folder), torch.from_numpy(Entry(folder).golden.images)
    graph = write_graph(fold_batch_norm(subnet, images), subnet.arch.resolution, opset=17)
    return to_litert(graph, {"name": "x", "a": "b"}), subnet, images


@pytest.mark.parametrize("folder", [FIRST_FORMAT, entry_folder("characters_s")], ids=["inverted", "plain"])
def test_any_number_of_images(folder: Path) -> None:
    content, subnet, images = a_file(folder)
    assert content == a_file(folder)[0]
    for count in (1, 3, 8):
        with torch.no_grad():
            want = subnet(images[:count]).numpy()
        np.testing.assert_allclose(run(content, images[:count]), want, atol=1e-4)


def test_the_file_says_what_it_is() -> None:
    content, _, images = a_file()
    assert content[4:8] == IDENTIFIER
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (metadata,) = model.metadata
    assert metadata.name == b"anas-zoo"
    assert json.loads(bytes(model.buffers[metadata.buffer].data)) == {"a": "b", "name": "x"}
    signature = Interpreter(model_content=content).get_signature_runner()
    assert signature(image=images[:1].numpy()).keys() == {"logits"}


def test_activations_are_part_of_their_convolution() -> None:
    model = schema.ModelT.InitFromPackedBuf(a_file(entry_folder("characters_s"))[0], 0)
    kinds = [model.operatorCodes[one.opcodeIndex].builtinCode for one in model.subgraphs[0].operators]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    assert {names[kind] for kind in kinds} <= {
        *("TRANSPOSE", "CONV_2D", "PAD", "ADD", "MEAN", "RESHAPE", "FULLY_CONNECTED")
    }


def test_an_operator_of_others_is_refused() -> None:
    nodes = [onnx.helper.make_node("Erf", ["image"], ["logits"], name="odd")]
    values = [onnx.helper.make_tensor_value_info(name, 1, ["batch", 3, 4, 4]) for name in ("image", "logits")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", values[:1], values[1:]))
    with pytest.raises(ExportError, match="odd: the operator Erf has no form in LiteRT here"):
        to_litert(model, {})


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("manifest.json")
    return Path(shutil.copytree(FIRST_FORMAT, tmp_path / "draft", ignore=ignored))


def test_a_draft_gets_it_through_all_gates(draft: Path) -> None:
    made = export_entry(draft, "litert-fp32")
    assert made.path == draft / FILE
    info = Entry.read(draft).report.files[FILE]
    assert info.parity is not None
    assert str(info.parity.runtime).startswith("LiteRT ")
    assert info.parity.not_run_here is None
    assert info.parity.batch_sizes == (1, 2, 3, 7, 32)
    assert info.parity.max_abs_logit_diff < 1e-4
    assert check_file(draft / FILE, TARGET) == Interface((3, 6, 6), 10)
    entry = Entry.read(draft)
    assert FILE not in (entry.report.cost.onnx or {})  # type: ignore[union-attr]
    assert check_onnx_files(entry, load_subnet(entry)).keys() == {"model.onnx"}
    (draft / FILE).write_bytes((draft / FILE).read_bytes() + b"x")
    with pytest.raises(EntryError, match=r"is not the file that report\.json measured"):
        check_onnx_files(Entry.read(draft), load_subnet(entry))
    (draft / FILE).write_bytes((draft / FILE).read_bytes()[:-1])
    assert Classifier(draft).file.name == "model.onnx"
    with pytest.raises(EntryError, match=r"is for LiteRT; here onnxruntime runs \.onnx files"):
        Classifier(draft, file=FILE)


def test_it_is_published_and_verified_by_its_hash(draft: Path, tmp_path: Path) -> None:
    export_entry(draft, "litert-fp32")
    unlicensed = json.loads((draft / "config.json").read_text())
    unlicensed["anas"]["weights"]["licence"] = None
    del unlicensed["pretrained_cfg"]["license"]
    (draft / "config.json").write_text(json.dumps(unlicensed))
    before = profile(draft)
    entry = publish(draft, tmp_path / "zoo" / "digits_s", licence="CC0-1.0")
    model = schema.ModelT.InitFromPackedBuf((entry / FILE).read_bytes(), 0)
    assert json.loads(bytes(model.buffers[model.metadata[0].buffer].data))["licence"] == "CC0-1.0"
    assert profile(entry).onnx == before.onnx
    assert FILE in (entry / "README.md").read_text()
    assert verify(entry).onnx_max_abs_diff.keys() == {"model.onnx"}
    assert validate(entry)[FILE].max_abs_logit_diff < 1e-4
    assert validate(entry, locate=True).keys() == {"model.onnx"}
    (entry / FILE).write_bytes((entry / FILE).read_bytes()[:-1] + b"\0")
    with pytest.raises(EntryError, match=r"model\.litert-fp32\.tflite"):
        verify(entry)


def test_without_the_package_it_is_neither_written_nor_run(
    draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_entry(draft, "litert-fp32")
    for name in ("ai_edge_litert", "ai_edge_litert.schema_py_generated", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingPackageError, match=r"ai-edge-litert is not installed; run: .*\[litert\]"):
        export_entry(draft, "litert-fp32")


def test_it_is_timed_in_its_own_runtime(
    draft: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_entry(draft, "litert-fp32")
    assert main(["bench", str(draft), "--repeats", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"digits_s/model.onnx", f"digits_s/{FILE}"}
    assert found[f"digits_s/{FILE}"]["runtime"].startswith("LiteRT ")
    assert found[f"digits_s/{FILE}"]["input_shape"] == [1, 3, 6, 6]
    for name in ("ai_edge_litert", "ai_edge_litert.schema_py_generated", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench", str(draft), "--repeats", "5", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out).keys() == {"digits_s/model.onnx"}
    assert f"digits_s/{FILE} is not timed: ai-edge-litert is not installed" in said.err


def test_raw_images_and_half_precision_are_refused(draft: Path) -> None:
    with pytest.raises(ConfigError, match="take preprocessed images; leave out input"):
        export_entry(draft, "litert-fp32", form="uint8-nhwc")
    with pytest.raises(ValueError, match="files for litert are fp32 or int8"):
        Target.model_validate(TARGET.model_dump() | {"precision": "fp16"})


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def other_weight(factor: float) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        (tensor,) = (one for one in model.subgraphs[0].tensors if one.name == b"head.conv.weight")
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32) * np.float32(factor)
        model.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)

    return change


def renamed(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = b"pixels"


def frozen(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shapeSignature = [1, 3, 6, 6]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (other_weight(1.2), ParityError, "logits differ by"),
        (other_weight(np.nan), NonFiniteError, r"head\.conv\.weight has values that are not finite"),
        (renamed, InterfaceError, r"its inputs are \['pixels'\]"),
        (frozen, InterfaceError, "only the batch"),
    ],
)
def test_a_file_that_is_another_is_refused(
    change: Callable[[Any], None], kind: type[ExportError], said: str, tmp_path: Path
) -> None:
    content, subnet, images = a_file()
    file = tmp_path / FILE
    file.write_bytes(changed(content, change))
    with pytest.raises(kind, match=said):
        validate_onnx(file, subnet, images, None, target=TARGET)


@given(cut=st.integers(0, 2000), at=st.integers(0, 60_000), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None, database=None)
def test_damaged_bytes_are_one_line(cut: int, at: int, byte: int, tmp_path_factory: Any) -> None:
    content = bytearray(a_file()[0][cut:] if cut < 100 else a_file()[0][: -(cut // 2)])
    content[at % len(content)] = byte
    file = tmp_path_factory.mktemp("damaged") / FILE
    file.write_bytes(bytes(content))
    said = ""
    try:
        check_file(file, TARGET)
    except ExportError as exc:
        said = str(exc)
    assert "\n" not in said


def test_export_writes_nothing_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, subnet, images = a_file()
    strict = TARGET.model_copy(deep=True)
    strict.tolerances.max_abs_logit_diff.__dict__["value"] = 1e-12
    with pytest.raises(ParityError):
        export_onnx(subnet, tmp_path / FILE, target=strict, resolution=6, metadata={}, images=images)
    assert list(tmp_path.iterdir()) == []
