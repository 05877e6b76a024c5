"""One real entry for the whole folder: a small network, calibrated, exported, validated and published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import QUICK
from PIL import Image

from anas_zoo.cli import main
from anas_zoo.entry import Accuracy, Cost, EntryReport, write_report
from anas_zoo.exporting import Target, export_onnx, validate_onnx
from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.space import SearchSpace, count_by_walking
from anas_zoo.zoo import build_config, publish, write_draft

CLASSES = 4


@pytest.fixture(scope="session")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpublished entry with all its evidence; tests that change it work on a copy."""
    generator = torch.Generator().manual_seed(0)
    space = SearchSpace.load("digits")
    arch = space.smallest
    subnet = Supernet(space, num_classes=CLASSES, generator=generator).extract(arch)
    images = torch.randn(16, 3, arch.resolution, arch.resolution, generator=generator)
    labels = torch.arange(16) % CLASSES
    calibrate_bn(subnet, [images])
    config = build_config(
        subnet,
        name="tiny",
        space=space,
        label_names=["zero", "one", "two", "three"],
        licence="Apache-2.0",
        source="made by a test",
    )
    folder = tmp_path_factory.mktemp("entries") / "draft"
    report = EntryReport(name="tiny", arch_id=arch.id)
    write_draft(folder, subnet, config, report, images[:2])

    target = Target.load("ort-cpu-fp32")
    path = folder / "model.onnx"
    written = export_onnx(subnet, path, target=target, resolution=arch.resolution, metadata={})
    parity = validate_onnx(path, subnet, images, labels, target=target)
    assert parity.torch_top1_pct is not None
    macs, params = count_by_walking(subnet.structure, arch, CLASSES)
    full = {
        "accuracy": Accuracy(
            source="noise", split="test", images=len(images), top1_pct=parity.torch_top1_pct
        ),
        "cost": Cost(macs=macs, params=params, resolution=arch.resolution),
        "files": {path.name: written.model_copy(update={"parity": parity})},
    }
    write_report(folder, report.model_copy(update=full))
    return folder


@pytest.fixture(scope="session")
def entry(draft: Path) -> Path:
    """The published entry; tests that change it work on a copy."""
    return publish(draft, draft.with_name("tiny"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the digits after one short epoch; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "--out", str(folder), *QUICK]) == 0
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A small grey PNG."""
    path = tmp_path / "image.png"
    Image.fromarray((np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)).save(path)
    return path
