"""Entries that are not what they say: the client of one file tells it in one line."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_client import SHELF, client, copied_entry, edit, refusal
from safetensors.numpy import load_file, save

from anas_zoo.core.files import sha256_file


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    return copied_entry(tmp_path)


def config(**changes: object) -> Callable[[Path], None]:
    return lambda entry: edit(entry / "config.json", lambda c: c["anas"]["preprocessing"].update(changes))


def arch(**changes: object) -> Callable[[Path], None]:
    return lambda entry: edit(entry / "config.json", lambda c: c["anas"]["arch"].update(changes))


def flipped(name: str) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        content = bytearray((entry / name).read_bytes())
        content[-9] ^= 0x40
        (entry / name).write_bytes(content)

    return damage


def foreign(entry: Path) -> None:
    (entry / "model.onnx").write_bytes(b"no model")
    edit(
        entry / "report.json",
        lambda r: r["files"]["model.onnx"].update(sha256=sha256_file(entry / "model.onnx")),
    )


def shifted(entry: Path) -> None:
    tensors = load_file(entry / "golden.safetensors")
    tensors["logits"][3, 2] += 0.01
    (entry / "golden.safetensors").write_bytes(save(tensors))


def not_a_number(entry: Path) -> None:
    tensors = load_file(entry / "golden.safetensors")
    tensors["images"][0, 0, 0, 0] = np.nan
    (entry / "golden.safetensors").write_bytes(save(tensors))


def golden(**tensors: Any) -> Callable[[Path], object]:
    return lambda entry: (entry / "golden.safetensors").write_bytes(save(tensors))


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """golden.safetensors with another header over the same bytes."""

    def damage(entry: Path) -> None:
        path = entry / "golden.safetensors"
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        told = json.loads(content[8 : 8 + length])
        change(told)
        new = json.dumps(told).encode()
        path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])

    return damage


def published_and_altered(entry: Path) -> None:
    shutil.copyfile(SHELF / "digits_s" / "manifest.json", entry / "manifest.json")
    flipped("golden.safetensors")(entry)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda e: (e / "config.json").unlink(), "config.json: cannot be read"),
    "no report": (lambda e: (e / "report.json").unlink(), "report.json: cannot be read"),
    "no onnx": (lambda e: (e / "model.onnx").unlink(), "model.onnx: cannot be read"),
    "no golden": (lambda e: (e / "golden.safetensors").unlink(), "golden.safetensors: cannot be read"),
    "no json": (lambda e: (e / "config.json").write_text("{"), "config.json: not valid JSON"),
    "a list": (lambda e: (e / "config.json").write_text("[]"), "config.json: anas.format is missing"),
    "deep json": (lambda e: (e / "config.json").write_text("[" * 99_999), "config.json: not valid JSON"),
    "later format": (
        lambda e: edit(e / "config.json", lambda c: c["anas"].update(format=3)), "a newer format",
    ),
    "unknown mode": (config(mode="fancy"), "mode is 'fancy', known: ('native', 'reference')"),
    "unknown filter": (config(interpolation="magic"), "no resize that exists ('magic'"),
    "no size": (arch(resolution=0), "no resize that exists"),
    "a true size": (arch(resolution=True), "anas.arch.resolution is missing or of wrong type"),
    "crop of all": (config(crop_pct=1.5), "no resize that exists"),
    "two means": (config(mean=[0.5, 0.5]), "are three numbers"),
    "no deviation": (config(std=[0.5, 0, 0.5]), "are three numbers, std without zeros"),
    "blue first": (config(colour="bgr"), "colour is 'bgr', known: ('rgb',)"),
    "few labels": (
        lambda e: edit(e / "config.json", lambda c: c.update(label_names=["a"])), "no list of 10 names",
    ),
    "altered onnx": (flipped("model.onnx"), "model.onnx is not the file that report.json measured"),
    "foreign onnx": (foreign, "model.onnx: onnxruntime cannot load it"),
    "altered golden": (published_and_altered, "golden.safetensors is not the file that was published"),
    "shifted golden": (shifted, "does not give the golden logits: largest difference 0.01, allowed 0.000"),
    "golden of no number": (not_a_number, "does not give the golden logits: largest difference nan"),
    "golden of another size": (
        golden(images=np.zeros((2, 3, 5, 5), "f"), logits=np.zeros((2, 10), "f")), "it has (2, 3, 5, 5)",
    ),
    "golden without images": (golden(logits=np.zeros((2, 10), "f")), "it has (0,) and (2, 10)"),
    "empty golden": (golden(images=np.zeros((0, 3, 6, 6), "f")), "golden.safetensors"),
    "truncated golden": (lambda e: (e / "golden.safetensors").write_bytes(b"\x07"), "truncated or no safe"),
    "endless header": (
        lambda e: (e / "golden.safetensors").write_bytes(b"\xff" * 64), "truncated or no safetensors",
    ),
    "larger shape": (header(lambda h: h["images"].update(shape=[9, 3, 6, 6])), "its shape [9, 3, 6, 6]"),
    "negative shape": (header(lambda h: h["images"].update(shape=[-8, -3, 6, 6])), "header is damaged"),
    "beyond the end": (
        header(lambda h: h["logits"].update(data_offsets=[10**9, 10**9 + 320])), "within the file",
    ),
    "doubles": (header(lambda h: h["images"].update(dtype="F64")), "images is no float32 tensor"),
    "no offsets": (header(lambda h: h["images"].pop("data_offsets")), "header is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_one_line(damage: str, entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, message = DAMAGE[damage]
    change(entry)
    assert message in refusal(capsys, entry, "--check")


@given(data=st.data())
@settings(max_examples=150, deadline=None, database=None)
def test_no_bytes_of_safetensors_surprise_it(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray((SHELF / "digits_s" / "golden.safetensors").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(client.ClassifyError):
        assert all(tensor.dtype == np.float32 for tensor in client.read_safetensors(path).values())
