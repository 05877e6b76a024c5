from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from catalog_entries import FIRST_FORMAT
from PIL import Image
from sklearn.datasets import load_sample_image

from anas_zoo.core.intervals import with_interval
from anas_zoo.entry import EntryConfig, EntryReport, Published, read_config, read_report
from anas_zoo.space import Architecture
from anas_zoo.zoo import Classifier, model_card

pytest_plugins = ["zoo_fixtures"]

ROOT = Path(__file__).parents[2]
SHELF = ROOT / "models"


def front_matter(card: str) -> dict[str, object]:
    _, head, _ = card.split("---\n", 2)
    data: dict[str, object] = yaml.safe_load(head)
    return data


def test_front_matter_is_what_the_hub_reads(published: Path) -> None:
    assert front_matter((published / "README.md").read_text()) == {
        "license": "apache-2.0",
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "timm", "anas-zoo", "onnx"],
    }


def test_choices_of_blocks_stand_together(published: Path) -> None:
    config, report = read_config(published), read_report(published)
    data = config.to_dict()
    data["model_args"]["arch"] |= {"depth": [1, 2, 2], "expand_ratio": [1, [2.3, 4], 3]}
    arch = Architecture.from_dict(data["model_args"]["arch"])
    data["anas"] |= {"arch_id": arch.id, "arch": arch.to_dict()}
    data["model_args"]["structure"] |= {"padding": "same"}
    card = model_card(EntryConfig.model_validate(data), report)
    assert "| expand ratio | 1 2.3,4 3 |" in card
    assert "| padding | same |" in card
    assert "a network of the AttentiveNAS family" in model_card(config, report)
    assert "| padding |" not in model_card(config, report)


def test_a_licence_the_hub_does_not_know_is_other(published: Path) -> None:
    config, report = read_config(published), read_report(published)
    weights = config.anas.weights
    assert weights is not None
    own = config.anas.model_copy(update={"weights": weights.model_copy(update={"licence": "House-1.0"})})
    cfg = config.pretrained_cfg.model_copy(update={"license": "house-1.0"})
    card = model_card(config.model_copy(update={"anas": own, "pretrained_cfg": cfg}), report)
    assert front_matter(card)["license"] == "other"
    assert front_matter(card)["license_name"] == "house-1.0"


def test_the_card_tells_every_measured_number(published: Path) -> None:
    config, report = read_config(published), read_report(published)
    card = (published / "README.md").read_text()
    info = report.files["model.onnx"]
    assert report.accuracy is not None
    assert report.cost is not None
    assert info.parity is not None
    assert config.anas.weights is not None
    assert config.anas.calibration is not None
    for told in (
        f"| {report.accuracy.top1} | {report.accuracy.images} |",
        f"{report.cost.macs:,}",
        f"{report.cost.params:,}",
        f"{info.parity.top1_agreement_pct:.2f} % of {info.parity.images} images",
        f"| {info.latency[0].p50_ms:.3g} | {info.latency[0].p95_ms:.3g} |",
        info.latency[0].runtime,
        config.anas.weights.sha256,
        config.anas.weights.source_sha256,
        config.anas.calibration.sha256,
        config.anas.arch_id,
        "Apache-2.0",
    ):
        assert str(told) in card
    assert "not measured here" not in card
    assert card == model_card(config, report)


def test_text_from_outside_cannot_break_a_table(published: Path) -> None:
    config, report = read_config(published), read_report(published)
    figure = Published(top1_pct=50, dataset="a|b\n\n# Heading", source="somebody")
    card = model_card(config, report.model_copy(update={"published": figure}))
    assert "| 50 % | – | a\\|b # Heading | not stated | somebody |" in card
    assert "Top-1 **published by the authors, not measured here**" in card


def as_reference(published: Path) -> tuple[EntryConfig, EntryReport]:
    """Config and report of an entry like ``published`` whose mode is reference."""
    data = read_config(published).to_dict()
    data["anas"]["preprocessing"] |= {"mode": "reference", "crop_pct": 0.875}
    data["pretrained_cfg"]["crop_pct"] = 0.875
    report = read_report(published)
    assert report.accuracy is not None
    accuracy = report.accuracy.model_copy(update={"preprocessing": "reference"})
    native = accuracy.model_copy(update={"preprocessing": "native", "top1_pct": 12.5, "top5_pct": 60.0})
    changed = report.model_copy(update={"accuracy": accuracy, "further_accuracy": (native,)})
    return EntryConfig.model_validate(data), changed


def test_a_reference_entrys_card_says_what_timm_gives(published: Path) -> None:
    config, report = as_reference(published)
    card = model_card(config, report)
    side = config.arch.resolution
    assert "## Preprocessing (`reference`)" in card
    assert f"cuts {side} pixels out of an image of {math.floor(side / 0.875)}" in card
    assert report.accuracy is not None
    accuracy = report.accuracy
    assert f"| {accuracy.top1} | {accuracy.images} | test | {accuracy.source} | reference |" in card
    further = f"| {with_interval(12.5, accuracy.images)} | 60.00 % | {accuracy.images} | test |"
    assert f"{further} {accuracy.source} | native |" in card
    assert "network's own preprocessing is `reference`" in card


def on_white(published: Path) -> EntryConfig:
    data = read_config(published).to_dict()
    data["anas"]["preprocessing"] |= {"transparency": "white"}
    return EntryConfig.model_validate(data)


def test_the_card_says_what_becomes_of_transparent_parts(published: Path) -> None:
    config, report = read_config(FIRST_FORMAT), read_report(FIRST_FORMAT)
    assert config.anas.preprocessing.transparency == "dropped"  # as format 1 has it where it says nothing
    before = model_card(config, report)
    assert "transparen" not in before
    config = on_white(FIRST_FORMAT)
    assert config.to_dict()["anas"]["preprocessing"]["transparency"] == "white"
    card = model_card(config, report)
    assert "Transparent parts of an image are laid on **white** first. timm and" in card
    assert 'image.paste(opened.convert("RGB"), None, opened.getchannel("A"))' in card
    reference = as_reference(published)[0].to_dict()
    reference["anas"]["preprocessing"]["transparency"] = "white"
    assert "laid on **white**" in model_card(EntryConfig.model_validate(reference), report)


@pytest.mark.slow
def test_the_lines_of_a_reference_entrys_card_run_and_agree(published: Path, tmp_path: Path) -> None:
    config, report = as_reference(published)
    entry = tmp_path / published.name
    shutil.copytree(published, entry, ignore=shutil.ignore_patterns("manifest.json"))
    (entry / "config.json").write_text(json.dumps(config.to_dict()))
    photo = Image.fromarray(load_sample_image("flower.jpg"))
    photo.save(tmp_path / "image.png")
    *_, with_onnxruntime, transform = re.findall(
        r"```python\n(.*?)```", model_card(config, report), re.DOTALL
    )
    code = (
        f"{with_onnxruntime}\n{transform}\nimport torch\nfrom anas_zoo.zoo import load_subnet\n"
        "tensor = transform(Image.open('image.png'))\n"
        "assert abs(tensor.numpy() - pixels).max() < 2e-5\n"
        f"torch.testing.assert_close(load_subnet('{published.name}')(tensor[None]), torch.tensor(logits), "
        "rtol=0, atol=1e-3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    best = Classifier(entry).predict([tmp_path / "image.png"], top_k=1)[0][0]
    assert done.stdout.strip() == best.label
    assert best != Classifier(published).predict([tmp_path / "image.png"], top_k=1)[0][0]


@pytest.mark.slow
def test_every_line_of_the_card_runs_as_it_stands(published: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (published / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    assert blocks[2].count("path/to/anas-zoo") == 1
    (tmp_path / published.name).symlink_to(published)
    Image.fromarray(load_sample_image("flower.jpg")).save(tmp_path / "image.png")
    for index, block in enumerate(blocks):
        code = block.replace("path/to/anas-zoo", str(ROOT))
        if index < 3:
            code += "\nassert model.is_calibrated() and not model.training\n"
        (tmp_path / f"block{index}.py").write_text(code)
    # One process for the three that load torch, since that is what takes the time.
    code = "import runpy\nfor i in range(4):\n    runpy.run_path(f'block{i}.py')\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    best = Classifier(published).predict([tmp_path / "image.png"], top_k=1)[0][0]
    assert done.stdout.strip() == best.label
