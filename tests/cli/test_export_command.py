"""``anas export`` of several targets: what passes is printed, what fails is listed, the exit code tells."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest
from catalog_entries import FIRST_FORMAT
from command_line import files_below, refused, succeeded
from onnx import numpy_helper

from anas_zoo.cli import main


def test_what_failed_is_listed_after_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        "export",
        "digits_s",
        "--target",
        "ort-cpu-int8",
        "--target",
        "ort-web-fp32",
        "--out",
        str(out),
    ]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert f"exported {out / 'model.ort-web-fp32.onnx'}" in said.out
    *_, failed, last = said.err.splitlines()
    assert failed.startswith("failed: ort-cpu-int8: ")
    assert "give --data" in failed
    assert last == "anas: error: 1 of 2 targets failed: ort-cpu-int8; 1 file is complete"
    assert len(files_below(out)) == 2
    assert main([*arguments, "--json"]) == 1
    assert list(json.loads(capsys.readouterr().out)) == [str(out / "model.ort-web-fp32.onnx")]


def test_one_reason_for_all_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    targets = ["--target", "ort-cpu-fp32", "--target", "ort-web-fp32"]
    assert "is published, its files are fixed" in refused(capsys, "export", "digits_s", *targets)
    out: list[str | Path] = ["--out", tmp_path / "out"]
    assert "none of the targets makes one: ort-cpu-fp32, ort-web-fp32" in refused(
        capsys, "export", "digits_s", *targets, "--require-speedup", *out
    )
    assert "did you mean 'ort-web-fp32'" in refused(
        capsys, "export", "digits_s", *targets, "--target", "ort-wb-fp32", *out
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_speed_and_size_of_int8_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = succeeded(
        capsys, "export", "digits_s", "--target", "ort-cpu-int8", "--data", "digits", "--out", tmp_path
    )
    assert re.search(r"  int8: \d+ kB against \d+ kB in float; ", said)
    assert " times as fast as float" in said


def test_a_layer_that_departs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = shutil.copytree(FIRST_FORMAT, tmp_path / "draft", ignore=shutil.ignore_patterns("manifest.json"))
    assert "no layer departs by more than rounding" in succeeded(capsys, "validate", draft, "--locate")
    file = draft / "model.onnx"
    model = onnx.load(str(file))
    name = "stages.1.0.depthwise.conv.weight"
    (weight,) = (one for one in model.graph.initializer if one.name == name)
    weight.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(weight), name))
    onnx.save(model, str(file))
    error = refused(capsys, "validate", draft)
    assert "; layer by layer: stages.1.0.depthwise departs by " in error
    assert f"anas validate {draft} --locate" in error
    text = succeeded(capsys, "validate", draft, "--locate")
    assert "model.onnx: stages.1.0.depthwise departs by " in text
    found = json.loads(succeeded(capsys, "validate", draft, "--locate", "--json"))["model.onnx"]
    assert found["departure"]["layer"] == "stages.1.0.depthwise"
    assert found["layers"][0]["layer"] == "stem"
    assert "leave out --data" in refused(capsys, "validate", draft, "--locate", "--data", "digits")
