"""``anas import timm --as entry``: any classifier of timm's with the evidence of every other entry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import anas_zoo
from anas_zoo.core.errors import AnasError, CheckpointError, EntryError, ExportError
from anas_zoo.entry import Entry, read_config
from anas_zoo.nets import Subnet
from anas_zoo.nets.sources.timm_classifier import read_timm_classifier
from anas_zoo.pipeline.import_timm import import_timm
from anas_zoo.zoo import load_network, load_subnet
from anas_zoo.zoo.catalog import model_of

CLASSES = 4
NETWORKS = ("test_resnet", "test_vit", "test_convnext")  # timm's, of some ten thousand parameters
ONNX_TARGETS = ["ort-cpu-int8", "ort-cuda-fp16", "ort-web-fp32"]


def checkpoint_of(name: str, folder: Path, classes: int = CLASSES) -> Path:
    """A state dict of timm's network with drawn weights, and batch norms that have seen images."""
    path = folder / f"{name}.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(name, num_classes=classes).train()
        side = network.pretrained_cfg["input_size"][1]
        with torch.no_grad():
            network(torch.randn(8, 3, side, side))
            for parameter in network.parameters():  # timm's draws are so small that all classes are alike
                parameter.mul_(2 if parameter.ndim == 2 else 1)
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, path)
    return path


def write_images(folder: Path) -> Path:
    """Class folders of noise, each class with a colour of its own."""
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class_{label}").mkdir()
        for number in range(30):
            pixels = rng.integers(0, 90, (170, 180, 3)) + 40 * np.array([label, 3 - label, label % 2])
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"class_{label}" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory, images: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("drafts")
    for name in NETWORKS:
        file = checkpoint_of(name, folder)
        import_timm(
            name, as_="entry", checkpoint=file, out=folder / name, licence="Apache-2.0", data=str(images)
        )
    return {name: folder / name for name in NETWORKS}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_entry_computes_what_timm_does_and_timm_loads_it(
    name: str, drafts: dict[str, Path], tmp_path: Path
) -> None:
    draft = drafts[name]
    config = read_config(draft)
    assert not config.is_subnet
    assert config.architecture == name
    own = timm.create_model(name, num_classes=CLASSES, checkpoint_path=draft.parent / f"{name}.safetensors")
    batch = torch.randn(2, 3, config.resolution, config.resolution)
    with torch.no_grad():
        wanted = own.eval()(batch)
        assert torch.allclose(load_network(draft)(batch), wanted, atol=1e-4)
        assert torch.allclose(anas_zoo.create_model(draft, pretrained=True).eval()(batch), wanted, atol=1e-4)
    with pytest.raises(EntryError, match=rf"is timm's network {name}, and this is for subnets"):
        load_subnet(draft)
    report = Entry.read(draft).report
    assert report.cost is not None
    assert report.cost.params == sum(parameter.numel() for parameter in own.parameters())
    assert report.cost.onnx is not None
    assert report.cost.onnx["model.onnx"].macs == report.cost.macs
    assert report.accuracy is not None
    assert (report.accuracy.images, report.accuracy.split) == (30 * CLASSES, "all")
    assert report.files["model.onnx"].latency[0].p50_ms > 0
    torch.save(batch, tmp_path / "batch.pt")
    torch.save(wanted, tmp_path / "wanted.pt")
    alone = (
        "import sys, timm, torch\n"
        "model = timm.create_model('local-dir:' + sys.argv[1], pretrained=True).eval()\n"
        "assert not any(name.startswith('anas_zoo') for name in sys.modules)\n"
        "batch, wanted = (torch.load(name) for name in sys.argv[2:])\n"
        "assert torch.allclose(model(batch), wanted, atol=1e-4)\n"
    )
    files = [str(tmp_path / f"{part}.pt") for part in ("batch", "wanted")]
    subprocess.run([sys.executable, "-c", alone, str(draft), *files], check=True, timeout=120)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_exported_published_and_verified_like_a_subnet(
    name: str, drafts: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    found = anas_zoo.export(drafts[name], target=ONNX_TARGETS, data=str(images), out=tmp_path / "more")
    assert not {target: str(error) for target, error in found.failed.items() if target != "ort-cpu-int8"}
    for file in found.files:
        assert file.info.parity is not None
        assert file.info.parity.batch_sizes == (1, 2, 3, 7, 32)
    raw = anas_zoo.export(drafts[name], input="uint8-nhwc", out=tmp_path / "raw")
    assert not raw.failed
    parity = anas_zoo.validate(drafts[name])["model.onnx"]
    assert parity.max_abs_logit_diff < 1e-3
    entry = anas_zoo.publish(drafts[name], tmp_path / "entry").folder
    assert entry is not None
    assert anas_zoo.verify(entry).golden_images == 8
    card = (entry / "README.md").read_text()
    assert "as fvcore traces them" in card
    assert f"timm's network `{name}`" in card
    assert "search space" not in card.lower()
    assert "import anas_zoo  # makes" not in card
    assert anas_zoo.profile(entry) == Entry.read(entry).report.cost
    (image,) = anas_zoo.Classifier(entry).predict([images / "class_0" / "0.png"], top_k=2)
    assert len(image) == 2
    assert model_of(Entry.read(entry)).network == f"{name} (timm)"
    altered = json.loads((entry / "config.json").read_text())
    altered["architecture"] = "resnet18"
    (entry / "config.json").write_text(json.dumps(altered))
    with pytest.raises(EntryError, match=r"anas\.arch_id is"):
        read_config(entry)


def test_one_of_our_family_becomes_a_subnet(tmp_path: Path) -> None:
    file = checkpoint_of("tinynet_e", tmp_path, 1000)
    made = import_timm("tinynet_e", as_="entry", checkpoint=file, out=tmp_path / "net", licence="MIT")
    entry = Entry.read(made.folder)
    assert entry.config.is_subnet
    assert isinstance(load_network(entry), Subnet)
    assert entry.config.label_names is not None
    assert entry.config.label_names[0] == "n01440764"
    assert entry.config.resolution == 106
    assert entry.report.accuracy is None


def test_nothing_is_written_where_it_cannot_be_an_entry(tmp_path: Path, images: Path) -> None:
    file = checkpoint_of("test_resnet", tmp_path)
    out = tmp_path / "net"
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("test_resnet", {"as_": "entry", "checkpoint": file, "resolution": 96}, r"leave out resolution"),
        ("test_resnet", {"checkpoint": file, "data": str(images)}, r"data measures an entry; add as="),
        ("test_resnet", {"checkpoint": file}, r"cannot be made a supernet: .* it can be an entry: as="),
        ("test_resnett", {"as_": "entry"}, "timm has no network 'test_resnett' .did you mean 'test_resnet'"),
        ("test_vit", {"as_": "entry", "checkpoint": file}, "test_resnet.safetensors"),
        ("test_resnet", {"as_": "entry", "checkpoint": tmp_path / "none.safetensors"}, "none.safetensors"),
    ]
    for name, options, reason in cases:
        with pytest.raises(AnasError, match=reason):
            import_timm(name, out=out, **options)
        assert not out.exists()


def test_a_network_that_is_no_classifier_of_square_images_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = checkpoint_of("test_resnet", tmp_path)
    from anas_zoo.nets.sources import timm_classifier

    def altered(**config: Any) -> Any:
        def make(name: str, classes: int) -> Any:
            network: Any = timm.create_model(name, num_classes=classes).eval()
            network.pretrained_cfg = {**network.pretrained_cfg, **config}
            return network

        return make

    for config, reason in (
        ({"input_size": (3, 160, 192)}, "takes images of 160×192 pixels in 3 channels"),
        ({"input_size": (4, 160, 160)}, "in 4 channels; those of entries are square, in RGB"),
        ({"crop_mode": "squash"}, "made square by 'squash'"),
    ):
        monkeypatch.setattr(timm_classifier, "timm_net", altered(**config))
        with pytest.raises(CheckpointError, match=reason):
            read_timm_classifier("test_resnet", checkpoint=file)
    pieces = altered()("test_resnet", CLASSES)
    pieces.forward = lambda images: (images, images)
    monkeypatch.setattr(timm_classifier, "timm_net", lambda name, classes: pieces)
    with pytest.raises(CheckpointError, match="is no classifier: of 2 images it makes tuple"):
        read_timm_classifier("test_resnet", checkpoint=file)


def test_what_is_for_subnets_alone_says_so(drafts: dict[str, Path], images: Path, tmp_path: Path) -> None:
    draft = drafts["test_resnet"]
    (error,) = anas_zoo.export(draft, target="litert-fp32", out=tmp_path / "phone").failed.values()
    assert isinstance(error, ExportError)
    assert "of subnets alone" in str(error)
    with pytest.raises(EntryError, match="test_resnet is timm's network test_resnet, and this is"):
        anas_zoo.finetune(draft, data=str(images), out=tmp_path / "tuned")
    assert not (tmp_path / "tuned").exists()


def test_an_unknown_network_in_a_config_is_one_line(drafts: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(drafts["test_resnet"], copy)
    config = json.loads((copy / "config.json").read_text())
    from anas_zoo.entry.config import timm_id

    config["architecture"] = "network_of_tomorrow"
    config["anas"]["arch_id"] = timm_id("network_of_tomorrow", 160)
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(EntryError, match=r"has no network 'network_of_tomorrow'; a newer version may"):
        load_network(copy)
