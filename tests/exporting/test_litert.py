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
import onnxruntime
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
from anas_zoo.exporting.litert import IDENTIFIER, QUICK_TAPS, quick_rows, to_litert
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
    kinds = {name for name, _ in operators_of(a_file(entry_folder("characters_s"))[0])}
    assert kinds <= {*("TRANSPOSE", "CONV_2D", "PAD", "ADD", "MEAN", "RESHAPE", "FULLY_CONNECTED")}


def operators_of(content: bytes) -> list[tuple[str, Any]]:
    """The operators of a file by name."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    operators = model.subgraphs[0].operators
    return [(names[model.operatorCodes[one.opcodeIndex].builtinCode], one) for one in operators]


def one_depthwise(kernel: tuple[int, int], stride: int, pads: list[int], side: int) -> onnx.ModelProto:
    """A graph of one depthwise convolution of 4 channels, after one of the image, and a ReLU."""
    random = np.random.default_rng(0)
    weights = {
        "w0": random.standard_normal((4, 3, 1, 1)).astype(np.float32),
        "w1": random.standard_normal((4, 1, *kernel)).astype(np.float32),
        "b1": random.standard_normal(4).astype(np.float32),
        "w2": random.standard_normal((2, 4)).astype(np.float32),
    }
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["image", "w0"], ["x"], name="x", strides=[1, 1], pads=[0] * 4, kernel_shape=[1, 1]),
        node(
            "Conv",
            ["x", "w1", "b1"],
            ["y"],
            name="y",
            strides=[stride] * 2,
            pads=pads,
            kernel_shape=list(kernel),
            group=4,
        ),
        node("Relu", ["y"], ["z"], name="z"),
        node("GlobalAveragePool", ["z"], ["p"], name="p"),
        node("Flatten", ["p"], ["f"], name="f"),
        node("Gemm", ["f", "w2"], ["logits"], name="logits", transB=1),
    ]
    info = onnx.helper.make_tensor_value_info
    ends = [info("image", 1, ["batch", 3, side, side])], [info("logits", 1, ["batch", 2])]
    constants = [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = onnx.helper.make_graph(nodes, "g", *ends, constants)
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


SHAPES = [
    *((7, stride, [3, 3, 3, 3], side) for stride in (1, 2, 3) for side in (11, 16)),
    (7, 2, [2, 2, 3, 3], 16),  # as "same" pads
    (9, 1, [4, 4, 4, 4], 12),
    (11, 2, [5, 5, 5, 5], 13),
    (13, 1, [6, 6, 6, 6], 14),  # two rows of it are too many taps
    (7, 1, [0, 0, 0, 0], 16),  # without padding the rows around have none to lose
    (6, 1, [3, 3, 2, 2], 12),
]


@pytest.mark.parametrize(("kernel", "stride", "pads", "side"), SHAPES)
def test_a_large_depthwise_kernel_is_a_sum_of_quick_ones(
    kernel: int, stride: int, pads: list[int], side: int
) -> None:
    model = one_depthwise((kernel, kernel), stride, pads, side)
    content = to_litert(model, {})
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"image": images.numpy()})
    np.testing.assert_allclose(run(content, images), want, rtol=1e-4, atol=1e-4)
    kinds = [name for name, _ in operators_of(content)]
    parts = {7: 3, 9: 5, 11: 6}.get(kernel, 1) if min(pads) else 1
    assert kinds.count("DEPTHWISE_CONV_2D") == parts
    assert kinds.count("ADD") == parts - 1
    assert "RELU" not in kinds  # part of the last of them


@given(height=st.integers(1, 15), width=st.integers(1, 15))
def test_the_parts_of_a_kernel_have_every_row_once(height: int, width: int) -> None:
    pads = [height // 2, width // 2] * 2
    rows = quick_rows((height, width), pads)
    assert sorted(row for some in rows for row in some) == list(range(height))
    if len(rows) > 1:
        assert all(len(some) * width <= QUICK_TAPS for some in rows)
        assert all(some[0] + some[-1] == height - 1 for some in rows)
        assert all(len(set(np.diff(some))) < 2 for some in rows)


def test_dilated_depthwise_kernels_stay_whole() -> None:
    assert quick_rows((7, 7), [6] * 4, [2, 2]) == [list(range(7))]


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
