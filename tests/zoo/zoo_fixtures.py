"""A small real entry of the digits space: untrained weights, but exported, validated, timed, published.

A plugin of the test modules here, since mypy takes only one module named conftest.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from anas_zoo.entry import Accuracy, EntryReport, Preprocessing, write_report
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.profiling import count_onnx_macs, measure_latency, profile_flops
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import build_config, publish, write_draft

NAME = "digits_s"
IMAGES = 48


def make_draft(folder: Path) -> Path:
    """A complete draft at ``folder``."""
    generator = torch.Generator().manual_seed(0)
    space = SearchSpace.load("digits")
    supernet = Supernet(space, num_classes=10, generator=generator)
    arch = space.smallest
    subnet = supernet.extract(arch)
    with torch.no_grad():
        subnet.get_parameter("classifier.weight").mul_(40)  # logits that differ by image
    side = arch.resolution
    calibrate_bn(subnet, [torch.randn(32, 3, side, side, generator=generator) for _ in range(2)])
    images = torch.randn(IMAGES, 3, side, side, generator=generator)
    labels = torch.randint(0, 10, (IMAGES,), generator=generator)
    with torch.no_grad():
        top1_pct = 100.0 * float((subnet(images).argmax(1) == labels).float().mean())
    config = build_config(
        subnet,
        name=NAME,
        space=space,
        preprocessing=Preprocessing(
            interpolation="bilinear", crop_pct=1.0, mean=(0.5,) * 3, std=(0.5,) * 3, transparency="dropped"
        ),
        label_names=[f"digit {i}" for i in range(10)],
        licence="Apache-2.0",
        source="the project's tests",
        source_sha256="0" * 64,
    )
    report = EntryReport(
        name=NAME,
        arch_id=arch.id,
        accuracy=Accuracy(source="random images", split="test", images=IMAGES, top1_pct=top1_pct),
        cost=profile_flops(subnet, side),
    )
    write_draft(folder, subnet, config, report, images[:4])

    target = Target.load("ort-cpu-fp32")
    onnx = folder / "model.onnx"
    info = export_onnx(
        subnet, onnx, target=target, resolution=side, metadata={"name": NAME}, images=images, labels=labels
    )
    timed = measure_latency({"model.onnx": onnx}, repeats=3, warmup=1)["model.onnx"]
    info = info.model_copy(update={"latency": (timed,)})
    assert report.cost is not None
    cost = report.cost.model_copy(update={"onnx": {"model.onnx": count_onnx_macs(onnx)}})
    write_report(folder, report.model_copy(update={"cost": cost, "files": {"model.onnx": info}}))
    return folder


@pytest.fixture(scope="session")
def pristine_draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A draft that tests read; to damage one, take ``draft``."""
    return make_draft(tmp_path_factory.mktemp("draft") / NAME)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, pristine_draft: Path) -> Path:
    """A published entry that tests read; to damage one, take ``entry``."""
    return publish(pristine_draft, tmp_path_factory.mktemp("zoo") / NAME)


@pytest.fixture
def draft(tmp_path: Path, pristine_draft: Path) -> Path:
    return Path(shutil.copytree(pristine_draft, tmp_path / "draft"))


@pytest.fixture
def entry(tmp_path: Path, published: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / NAME))
