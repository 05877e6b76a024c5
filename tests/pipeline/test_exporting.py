"""Exporting drafts and entries for every target, on a model of the shelf and its real images."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalog_entries import FIRST_FORMAT
from letters import write_letters

from anas_zoo.core.errors import (
    CalibrationError,
    ConfigError,
    EntryError,
    ExportError,
    ParityError,
    QuantizationError,
)
from anas_zoo.core.files import sha256_file
from anas_zoo.core.resources import resource_folder
from anas_zoo.core.text import markdown
from anas_zoo.entry import Entry, FileInfo, write_report
from anas_zoo.exporting import list_targets
from anas_zoo.pipeline.export import _Exporter, export, export_entry
from anas_zoo.pipeline.validate import validate
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.zoo import entry_folder, publish, verify

SHELF = entry_folder("digits_s")
NOT_HERE = {
    "ort-web-fp32": "browser",
    "ort-cuda-fp16": "CUDAExecutionProvider",
    "tensorrt-fp16": "TensorrtExecutionProvider",
}


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """The shelf's smallest model as a draft with nothing exported."""
    return as_draft(SHELF, tmp_path)


def as_draft(entry: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(entry, tmp_path / "digits_s"))
    for name in ("manifest.json", "README.md", "model.onnx"):
        (folder / name).unlink()
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"files": {}}))
    return folder


def changed(tmp_path: Path, name: str, **changes: Any) -> Path:
    """A target of one's own: the shipped one with other values, under its own name."""
    data = yaml.safe_load((resource_folder("export") / "targets" / f"{name}.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data | changes | {"name": "mine"}))
    return path


def test_int8_is_calibrated_on_images_that_can_be_read(tmp_path: Path) -> None:
    images = write_letters(tmp_path / "images", per_class=3)
    file = images / "A" / "1.png"
    file.write_bytes(file.read_bytes()[:-40])
    prepared, source = _Exporter(SHELF, str(images), tmp_path, False)._calibration_images(12)
    assert len(prepared) == 11
    assert source == "11 training images of images of the folder 'images'"


@pytest.mark.parametrize("name", [name for name in list_targets() if not name.endswith("int8")])
def test_every_target_is_exported_and_validated_again(draft: Path, name: str) -> None:
    file = export_entry(draft, name)
    info = Entry.read(draft).report.files[file.path.name]
    assert info == file.info
    assert info.parity is not None
    assert info.target == info.parity.target == name
    runtime, reason = str(info.parity.runtime), info.parity.not_run_here
    if name in NOT_HERE:
        assert NOT_HERE[name] in str(reason)
        assert "CPUExecutionProvider" in runtime
    else:
        assert reason is None
        runtimes = {"openvino-fp32": "openvino", "litert-fp32": "LiteRT"}
        assert runtime.startswith(runtimes.get(name, "onnxruntime"))
    again = validate(draft)[file.path.name]
    assert again.max_abs_logit_diff == info.parity.max_abs_logit_diff


@pytest.mark.parametrize("opset", [17, 18])
def test_raw_images_go_in(draft: Path, tmp_path: Path, opset: int) -> None:
    file = export_entry(draft, changed(tmp_path, "ort-cpu-fp32", opset=opset), form="uint8-nhwc")
    assert file.path.name == "model.mine.uint8-nhwc.onnx"
    assert file.info.input == "uint8-nhwc"
    assert file.info.parity is not None
    assert file.info.parity.top1_agreement_pct == 100.0


def test_a_published_entry_stays_as_it_is(tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in SHELF.iterdir()}
    with pytest.raises(EntryError, match=r"is published, its files are fixed; give out='FOLDER'"):
        export_entry(SHELF, "ort-web-fp32")
    file = export_entry(SHELF, "ort-web-fp32", out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.ort-web-fp32.onnx",
        "model.ort-web-fp32.onnx.json",
    ]
    assert json.loads((tmp_path / "out" / "model.ort-web-fp32.onnx.json").read_text()) == json.loads(
        file.info.model_dump_json()
    )
    assert before == {path.name: path.read_bytes() for path in SHELF.iterdir()}


STRICT = {"value": 0.0, "reason": "rounding alone is more than this"}
TOLERANCES = {"max_abs_logit_diff": STRICT, "min_top1_agreement_pct": STRICT}


def test_what_cannot_be_exported_is_not_there(draft: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="at most 0 is allowed"):
        export_entry(draft, changed(tmp_path, "ort-cpu-fp32", tolerances=TOLERANCES))
    with pytest.raises(ConfigError, match=r"unknown key 'batches' \(did you mean 'batch'\?\)"):
        export_entry(draft, changed(tmp_path, "ort-cpu-fp32", batches=1))
    config, weights = (draft / name for name in ("config.json", "model.safetensors"))
    data = json.loads(config.read_text())
    config.write_text(json.dumps(data | {"anas": data["anas"] | {"calibration": None}}))
    with pytest.raises(CalibrationError, match="is not calibrated"):
        export_entry(draft)
    config.write_text(json.dumps(data))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(EntryError, match=r"SHA-256 differs"):
        export_entry(draft)
    assert not list(draft.glob("*.onnx"))
    assert not Entry.read(draft).report.files


@pytest.mark.slow
def test_int8_says_how_it_was_made(tmp_path: Path) -> None:
    """However fast it is: on a processor that is slower with it, it is still the smaller file."""
    draft = as_draft(FIRST_FORMAT, tmp_path)
    export_entry(draft)
    file = export_entry(draft, "ort-cpu-int8", data="digits")
    how = file.info.quantization
    assert how is not None
    assert how.images == 512
    assert how.keep_float == ("se",)
    assert how.speedup > 0
    assert "512 training images" in how.source
    report = Entry.read(draft).report
    assert not report.refused
    assert how.float_size_bytes is not None
    assert 0 <= report.files["model.onnx"].size_bytes - how.float_size_bytes < 2000  # without its metadata
    assert how.machine == describe_machine()
    told = how.beside_float(file.info.size_bytes)
    assert told.startswith("57 kB against 6")
    card = (publish(draft, draft.parent / "published") / "README.md").read_text()
    assert f"\n\n`model.ort-cpu-int8.onnx` is int8: {markdown(told)}" in card
    assert "\n\n\n" not in card


@pytest.mark.slow
def test_int8_of_raw_images_in_a_fixed_batch(draft: Path, tmp_path: Path) -> None:
    target = changed(tmp_path, "ort-cpu-int8", batch=3)
    file = export_entry(draft, target, form="uint8-nhwc", data="digits")
    assert file.info.quantization is not None
    assert file.info.quantization.speedup > 0


def demanding(tmp_path: Path) -> Path:
    """The int8 target with a speed-up that no processor has."""
    data = yaml.safe_load((resource_folder("export") / "targets" / "ort-cpu-int8.yaml").read_text())
    least = {"value": 1000.0, "reason": "a bar that this test sets"}
    return changed(tmp_path, "ort-cpu-int8", quantization=data["quantization"] | {"min_speedup": least})


@pytest.mark.slow
def test_int8_tries_every_set_of_float_parts(
    draft: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More and more of the parts that cost most, as long as the accuracy is missed; here none can keep it."""
    with pytest.raises(ParityError, match="at most 0 is allowed"):
        export_entry(draft, changed(tmp_path, "ort-cpu-int8", tolerances=TOLERANCES), data="digits")
    lines = [line for line in capsys.readouterr().err.splitlines() if "; again with se, " in line]
    tried = [line.split("; again with se, ")[1].removesuffix(" in float").split(", ") for line in lines]
    assert [len(parts) for parts in tried][:2] == [1, 2]
    assert all(more[: len(parts)] == parts for parts, more in itertools.pairwise(tried))
    assert "ParityError" in Entry.read(draft).report.refused["model.mine.onnx"]


@pytest.mark.slow
def test_speed_is_a_gate_only_where_it_is_required(draft: Path, tmp_path: Path) -> None:
    target = demanding(tmp_path)
    with pytest.raises(QuantizationError, match=r"require_speedup asks for 1000 \(a bar that this test sets"):
        export_entry(draft, target, data="digits", require_speedup=True)
    report = Entry.read(draft).report
    assert not list(draft.glob("*.onnx"))
    assert not report.files
    assert "QuantizationError" in report.refused["model.mine.onnx"]
    made = export_entry(draft, target, data="digits")
    content = made.path.read_bytes()
    assert not Entry.read(draft).report.refused
    with pytest.raises(QuantizationError, match=r"; the model\.mine\.onnx that was there stays"):
        export_entry(draft, target, data="digits", require_speedup=True)
    assert made.path.read_bytes() == content
    report = Entry.read(draft).report
    assert (report.files, report.refused) == ({"model.mine.onnx": made.info}, {})


def test_a_refused_file_leaves_the_former_one(draft: Path) -> None:
    """Refused before anything was made: for lack of images."""
    file = draft / "model.ort-cpu-int8.onnx"
    shutil.copy(SHELF / "model.onnx", file)
    report = Entry.read(draft).report
    former = FileInfo(
        target="ort-cpu-int8", opset=17, size_bytes=file.stat().st_size, sha256=sha256_file(file)
    )
    write_report(draft, report.model_copy(update={"files": {file.name: former}}))
    with pytest.raises(QuantizationError, match=r"is not in a run, .* give data .*that was there stays"):
        export_entry(draft, "ort-cpu-int8")
    assert file.read_bytes() == (SHELF / "model.onnx").read_bytes()
    report = Entry.read(draft).report
    assert (report.files, report.refused) == ({file.name: former}, {})


def test_each_target_stands_or_falls_alone(draft: Path, tmp_path: Path) -> None:
    bad = changed(tmp_path, "ort-cpu-fp32", tolerances=TOLERANCES)
    made = export(draft, target=["ort-cpu-int8", bad, "ort-cpu-fp32", "ort-cpu-fp32"])
    assert [file.path.name for file in made.files] == ["model.onnx"]
    assert {name: type(error) for name, error in made.failed.items()} == {
        "ort-cpu-int8": QuantizationError,
        str(bad): ParityError,
    }
    assert list(Entry.read(draft).report.files) == ["model.onnx"]
    with pytest.raises(ConfigError, match="none of the targets makes one: ort-cpu-fp32, ort-web-fp32"):
        export(draft, target=["ort-cpu-fp32", "ort-web-fp32"], require_speedup=True)


def test_an_entry_without_files_has_none_to_validate() -> None:
    with pytest.raises(EntryError, match="attentive_nas_a0 has no exported file"):
        validate(entry_folder("attentive_nas_a0"))


def test_every_file_is_validated_whatever_the_others_do(draft: Path) -> None:
    for target in ("ort-cpu-fp32", "ort-web-fp32", "ort-cuda-fp16"):
        export_entry(draft, target)
    report = Entry.read(draft).report
    blank = {name: info.model_copy(update={"parity": None}) for name, info in report.files.items()}
    write_report(draft, report.model_copy(update={"files": blank}))
    (draft / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"model\.onnx: .* \(model\.ort-cuda-fp16\.onnx, model\.ort-web"):
        validate(draft)
    again = Entry.read(draft).report.files
    assert [name for name, info in again.items() if info.parity is None] == ["model.onnx"]
    (draft / "model.ort-web-fp32.onnx").unlink()
    with pytest.raises(
        ExportError, match=r"2 of 3 files failed .*model\.onnx: .*; .*model\.ort-web-fp32\.onnx: no"
    ):
        validate(draft)


def test_files_of_every_form_publish_and_verify(draft: Path, tmp_path: Path) -> None:
    """Raw images, half precision, another runtime: the gates, the card and the later check know them."""
    export_entry(draft)
    export_entry(draft, form="uint8-nhwc")
    export_entry(draft, "ort-cuda-fp16")
    report = Entry.read(draft).report
    refused = {"model.ort-cpu-int8.onnx": "QuantizationError: slower | than float"}
    write_report(draft, report.model_copy(update={"refused": refused}))
    entry = publish(draft, tmp_path / "published" / "digits_s")
    found = verify(entry).onnx_max_abs_diff
    assert sorted(found) == [
        "model.onnx",
        "model.ort-cpu-fp32.uint8-nhwc.onnx",
        "model.ort-cuda-fp16.onnx",
    ]
    assert found["model.ort-cpu-fp32.uint8-nhwc.onnx"] < 1e-4
    card = (entry / "README.md").read_text()
    assert "not run on its own runtime: this onnxruntime has no CUDAExecutionProvider" in card
    assert "Not published: `model.ort-cpu-int8.onnx`. QuantizationError: slower \\| than float" in card
    assert "uint8-nhwc" in card


def test_a_fixed_batch(draft: Path, tmp_path: Path) -> None:
    """Eight golden images in batches of three: the last one is filled up."""
    file = export_entry(draft, changed(tmp_path, "ort-cpu-fp32", batch=3))
    assert file.info.parity is not None
    assert file.info.parity.images == 8
    assert file.info.parity.batch_sizes == ()
    assert file.info.parity.top1_agreement_pct == 100.0
