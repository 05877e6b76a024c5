"""A file is run with onnxruntime's graph optimizations and without them; both have to be right."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from catalog_entries import FIRST_FORMAT
from quantized_twice import FINE, round_twice
from torch import Tensor

from anas_zoo.core.errors import EntryError, ParityError
from anas_zoo.core.files import sha256_file
from anas_zoo.entry import Entry, write_report
from anas_zoo.exporting import Target, validate_onnx
from anas_zoo.exporting.validate import optimization_gap
from anas_zoo.nets import Subnet
from anas_zoo.zoo import load_subnet
from anas_zoo.zoo.verifying import check_onnx_files

FOLDER = FIRST_FORMAT
INT8 = Target.load("ort-cpu-int8")


def network() -> tuple[Subnet, Tensor, Tensor]:
    golden = Entry(FOLDER).golden
    return load_subnet(FOLDER), torch.from_numpy(golden.images), torch.from_numpy(golden.logits)


def test_a_file_that_optimizations_change_is_stopped(tmp_path: Path) -> None:
    """Optimized it passes every other limit, and unoptimized too: only the two against each other tell."""
    subnet, images, _ = network()
    file = round_twice(FOLDER / "model.onnx", tmp_path / "model.onnx")
    with pytest.raises(ParityError, match=r"graph optimizations change its logits by [\d.]+ % of their dev"):
        validate_onnx(file, subnet, images, None, target=INT8)


def test_the_classes_count_without_optimizations_too(tmp_path: Path) -> None:
    subnet, images, logits = network()
    file = round_twice(FOLDER / "model.onnx", tmp_path / "model.onnx", value="stem.act")
    with pytest.raises(ParityError, match=r"agrees for [\d.]+ % of the images without graph optimizations"):
        validate_onnx(file, subnet, images, logits.argmax(1), target=INT8)
    with pytest.raises(ParityError, match=r"drops by [\d.]+ points from 100.00 % without graph opt"):
        validate_onnx(file, subnet, images, logits.argmax(1), target=INT8)


def test_rounding_twice_alike_is_no_difference(tmp_path: Path) -> None:
    subnet, images, _ = network()
    file = round_twice(FOLDER / "model.onnx", tmp_path / "model.onnx", coarse=FINE)
    report = validate_onnx(file, subnet, images, None, target=INT8)
    assert report.optimization_gap_pct is not None
    assert report.optimization_gap_pct < 1.0


def test_float_files_are_held_without_optimizations_too(tmp_path: Path) -> None:
    """A float target's own tolerance holds both ways; here the second way is 2e-4 off, the first 3e-6."""
    subnet, images, _ = network()
    report = validate_onnx(FOLDER / "model.onnx", subnet, images, None, target=Target.load("ort-cpu-fp32"))
    assert report.optimization_gap_pct is not None
    assert 0.0 <= report.optimization_gap_pct < 1e-3


def test_publishing_and_verifying_run_both_ways(tmp_path: Path) -> None:
    draft = shutil.copytree(FOLDER, tmp_path / "digits_s")
    for name in ("manifest.json", "README.md"):
        (draft / name).unlink()
    subnet, entry = load_subnet(draft), Entry.read(draft)
    assert set(check_onnx_files(entry, subnet)) == {"model.onnx"}
    file = round_twice(FOLDER / "model.onnx", draft / "model.onnx")
    info = entry.report.files["model.onnx"]
    assert info.parity is not None
    parity = info.parity.model_copy(update={"max_abs_logit_diff": 5.0})  # as int8 files have it
    info = info.model_copy(update={"sha256": sha256_file(file), "parity": parity})
    write_report(draft, entry.report.model_copy(update={"files": {"model.onnx": info}}))
    with pytest.raises(EntryError, match=r"model\.onnx: onnxruntime's graph optimizations change its logits"):
        check_onnx_files(Entry.read(draft), subnet)


def test_the_limit_is_a_matter_of_rounding() -> None:
    """1.5 times as far as the nearer way is from torch; at least 1 %, for ways that are both very near."""
    torch_logits = np.array([[0.0, 10.0], [10.0, 0.0]], np.float32)  # deviation 5
    near, far = torch_logits + np.float32(0.5), torch_logits - np.float32(0.2)
    gap = optimization_gap(near, far, torch_logits)
    assert gap.pct == pytest.approx(14.0)
    assert gap.allowed_pct == pytest.approx(6.0)
    assert gap.problem.startswith("onnxruntime's graph optimizations change its logits by 14 %")
    same = optimization_gap(near, near, torch_logits)
    assert (same.pct, same.problem) == (0.0, "")
    assert optimization_gap(torch_logits, torch_logits, torch_logits).allowed_pct == 1.0
    one = np.array([[3.0]], np.float32)
    assert optimization_gap(one, one * np.float32(1.001), one).problem == ""
    assert "change its logits" in optimization_gap(one, one * np.float32(np.nan), one).problem
