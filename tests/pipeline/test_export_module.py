"""``anas_zoo.export_module``: a network of a user's own code as an entry, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from test_import_timm_entry import CLASSES, write_images
from torch import Tensor, nn

import anas_zoo
from anas_zoo.core.errors import AnasError, CheckpointError, EntryError, ExportError
from anas_zoo.entry import Entry, Preprocessing
from anas_zoo.pipeline.imported_entry import ImportedEntry
from anas_zoo.zoo import load_network

LABELS = [f"class_{number}" for number in range(CLASSES)]
SIDE = 32


class Mine(nn.Module):
    """Two convolutions, a norm, a matrix product of features, and a head."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16, classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.deep(torch.relu(self.norm(self.stem(images)))).flatten(2)
        similar = torch.softmax(features.transpose(1, 2) @ features / 8, dim=-1)
        logits: Tensor = self.head((features @ similar).mean(-1))
        return logits


@pytest.fixture(scope="module")
def module() -> Mine:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Mine().train()
        with torch.no_grad():
            network(torch.randn(16, 3, SIDE, SIDE))
            network.head.weight.mul_(8)
    return network


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def made(module: Mine, images: Path, tmp_path_factory: pytest.TempPathFactory) -> ImportedEntry:
    return anas_zoo.export_module(
        module,
        Preprocessing(crop_pct=1.0),
        LABELS,
        resolution=SIDE,
        out=tmp_path_factory.mktemp("drafts") / "mine",
        target=["ort-cpu-fp32", "ort-cpu-int8"],
        data=str(images),
    )


def test_the_draft_has_the_evidence_of_all_entries(module: Mine, made: ImportedEntry) -> None:
    assert module.training  # it is left as it is
    entry = Entry.read(made.folder)
    assert entry.config.is_own
    assert entry.config.label_names == tuple(LABELS)
    report = entry.report
    assert report.accuracy is not None
    assert report.accuracy.images == 30 * CLASSES
    assert report.cost is not None
    assert report.cost.params == sum(parameter.numel() for parameter in module.parameters())
    macs = 16 * 16 * 8 * 27 + 8 * 8 * 16 * 72 + 2 * 64 * 64 * 16 + 16 * CLASSES
    assert report.cost.macs == macs
    assert report.cost.onnx is not None
    assert report.cost.onnx["model.onnx"].macs == macs
    parity = report.files["model.onnx"].parity
    assert parity is not None
    assert parity.max_abs_logit_diff < 1e-4
    assert ("model.ort-cpu-int8.onnx" in report.files) != ("model.ort-cpu-int8.onnx" in report.refused)
    with torch.no_grad():
        wanted = module.eval()(torch.from_numpy(entry.golden.images)).numpy()
    module.train()
    assert abs(wanted - entry.golden.logits).max() < 1e-5


def test_it_is_published_verified_and_run(made: ImportedEntry, images: Path, tmp_path: Path) -> None:
    entry = anas_zoo.publish(made.folder, tmp_path / "entry", licence="MIT").folder
    assert entry is not None
    found = anas_zoo.verify(entry)
    assert found.torch_max_abs_diff is None
    assert "model.onnx" in found.onnx_max_abs_diff
    card = (entry / "README.md").read_text()
    assert "a network of its author's own code" in card
    assert "timm.create_model" not in card
    assert "InferenceSession" in card
    ((best, *_),) = anas_zoo.Classifier(entry).predict([images / LABELS[0] / "0.png"])
    assert best.label in LABELS
    (accuracy,) = anas_zoo.evaluate(entry, data=str(images), runtime="onnxruntime").accuracies
    own = Entry.read(entry).report.accuracy
    assert own is not None
    assert accuracy.top1_pct == own.top1_pct
    with pytest.raises(EntryError, match="is a network of its author's own code, which torch cannot make"):
        load_network(entry)
    with pytest.raises(EntryError, match="is a network of its author's own code, which torch cannot make"):
        anas_zoo.profile(entry)
    facts = {one.key: one.value for one in onnx.load(entry / "model.onnx").metadata_props}
    assert (facts["name"], facts["licence"]) == (Entry.read(entry).name, "MIT")
    assert not {"arch", "network"} & facts.keys()
    with pytest.raises(EntryError, match="run its exported files with onnxruntime"):
        anas_zoo.create_model(entry, pretrained=True)
    with pytest.raises(EntryError, match="this is for subnets of a search space alone"):
        anas_zoo.finetune(entry, data=str(images), out=tmp_path / "tuned")


def test_other_weights_and_other_files_are_refused(made: ImportedEntry, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy)
    config = json.loads((copy / "config.json").read_text())
    config["anas"]["arch_id"] = "0" * 12
    report = json.loads((copy / "report.json").read_text())
    report["arch_id"] = "0" * 12
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "report.json").write_text(json.dumps(report))
    with pytest.raises(EntryError, match=r"gate 'weights'.*has the tensors of"):
        anas_zoo.publish(copy, tmp_path / "entry", licence="MIT")
    shutil.rmtree(copy)
    shutil.copytree(made.folder, copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises((EntryError, CheckpointError), match="is not the file that"):
        anas_zoo.publish(copy, tmp_path / "entry", licence="MIT")


class TwoOutputs(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Fixed(nn.Module):
    """Frozen to the batch that it is traced with."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        pooled = images.mean((2, 3))
        logits: Tensor = self.head(pooled) + torch.zeros(int(pooled.shape[0]), CLASSES)
        return logits


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Mine(3), r"gives \(2, 3\) of 2 images, the 4 labels need \(2, 4\)"),
        (TwoOutputs(), "gives tuple, an entry has one tensor of logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 4)), "fails on 2 images of 32×32 pixels"),
        (Fixed(), "batch"),
    ],
)
def test_a_module_that_is_no_such_classifier_leaves_nothing(
    network: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        anas_zoo.export_module(network, Preprocessing(), LABELS, resolution=SIDE, out=tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_other_mistakes_are_one_line(module: Mine, tmp_path: Path) -> None:
    for options, reason in (
        ({"target": []}, "target names no target"),
        ({"target": "litert-fp32"}, "of subnets alone"),
        ({"target": "ort-cpu-fp23"}, "did you mean 'ort-cpu-fp32'"),
        ({"data": str(tmp_path / "none")}, "none"),
        ({"name": "not a name"}, "name"),
    ):
        with pytest.raises(AnasError, match=reason):
            anas_zoo.export_module(
                module, Preprocessing(), LABELS, resolution=SIDE, out=tmp_path / "mine", **options
            )
        assert not (tmp_path / "mine").exists()
