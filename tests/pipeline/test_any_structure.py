"""The whole way with a space unlike AttentiveNAS: blocks that choose for themselves, another structure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from safetensors.torch import load_file
from tiny_recipe import TINY, tiny_recipe

import anas_zoo
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import Entry
from anas_zoo.exporting import list_targets
from anas_zoo.pipeline import run_stages
from anas_zoo.pipeline.export import export
from anas_zoo.pipeline.validate import validate
from anas_zoo.zoo import publish, verify
from anas_zoo.zoo.catalog import compare, model_of
from anas_zoo.zoo.shelf import entry_folder

pytestmark = pytest.mark.slow

CLIENTS = resource_folder("export") / "clients"
SPACE: dict[str, Any] = {
    "name": "blocks",
    "resolution": [8, 9, 12],
    "stem": {"width": [8], "stride": 1, "kernel_size": 3, "act": "relu6"},
    "stages": [
        {
            "name": "first",
            "block": "plain",
            "width": [8],
            "depth": [1, 2],
            "kernel_size": [3],
            "expand_ratio": [1],
            "stride": 1,
            "se": False,
            "act": "relu6",
        },
        {
            "name": "mb1",
            "block": "fused",
            "width": [16],
            "depth": [1, 2],
            "kernel_size": [[3, 5], [3, 5]],
            "expand_ratio": [[2.3, 4], [2, 3]],
            "stride": 2,
            "se": [True, False],
            "act": "relu6",
        },
        {
            "name": "mb2",
            "width": [24, 32],
            "depth": [1, 3],
            "kernel_size": [[3, 5], [3, 5], [3]],
            "expand_ratio": [2, 3],
            "stride": 2,
            "se": True,
            "act": "hard_swish",
        },
    ],
    "head": {"kind": "conv_pool", "width": [64], "act": "relu6"},
    "shortcut": "identity",
    "padding": "same",
    "bn_eps": 0.001,
    "squeeze_excite": {"base": "in", "reduction": 4, "divisor": 1, "act": "silu", "gate": "sigmoid"},
    "kernel_transform": True,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of six epochs, so that margins are wide enough for int8, and ten evaluations."""
    folder = tmp_path_factory.mktemp("structure")
    space = folder / "blocks.yaml"
    space.write_text(yaml.safe_dump(SPACE))
    search = {"evaluations": 10, "surrogate": {"initial": 6, "batch": 4}, "calibration_images": 128}
    train = TINY["train"] | {"epochs": 6}
    run_stages(folder / "run", tiny_recipe(space=str(space), search=search, train=train))
    return folder / "run"


@pytest.fixture(scope="module")
def entry(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its largest subnet for every target, published."""
    draft = run / "subnets" / "digits_l"
    for target in list_targets():
        export(draft, target=[target])
    validate(draft)
    return publish(draft, to=tmp_path_factory.mktemp("zoo") / "blocks")


def test_every_file_is_validated_and_the_entry_verifies(entry: Path) -> None:
    verify(entry)
    report = Entry.read(entry).report
    assert len(report.files) + len(report.refused) == len(list_targets())
    assert "model.onnx" in report.files
    assert "model.ort-cpu-int8.onnx" in report.files | report.refused
    for info in report.files.values():
        assert info.parity is not None
        assert info.parity.images == 359
    cost = report.cost
    assert cost is not None
    assert cost.fvcore_by_operator is not None
    assert sum(cost.fvcore_by_operator[name] for name in ("conv", "linear")) == cost.macs
    assert cost.params_authors is None  # there are no shortcuts of theirs


def test_timm_makes_the_same_network(entry: Path) -> None:
    golden = load_file(entry / "golden.safetensors")
    network = timm.create_model(f"local-dir:{entry}", pretrained=True).eval()
    with torch.no_grad():
        assert torch.allclose(network(golden["images"]), golden["logits"], atol=1e-4)
    args = json.loads((entry / "config.json").read_text())["model_args"]
    fresh = timm.create_model("attentive_nas", arch=args["arch"], structure=args["structure"], num_classes=10)
    fresh.load_state_dict(anas_zoo.create_model(str(entry), pretrained=True).state_dict())
    with torch.no_grad():
        assert torch.allclose(fresh.eval()(golden["images"]), golden["logits"], atol=1e-4)


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, str(CLIENTS / "python" / "classify.py")],
        ["node", str(CLIENTS / "node" / "classify.mjs")],
    ],
    ids=["python", "node"],
)
def test_a_client_gives_the_golden_logits(command: list[str], entry: Path) -> None:
    done = subprocess.run([*command, str(entry), "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "golden images" in done.stdout


def test_it_differs_from_another_structure_in_named_fields(entry: Path) -> None:
    a, b = Entry.read(entry), Entry.read(entry_folder("digits_s"))
    structures = (a.config.structure, b.config.structure)
    found = compare(model_of(a), model_of(b), structures)
    told = {one.what: (one.a, one.b) for one in found}
    assert told["structure.padding"] == ("same", "symmetric")
    assert told["structure.stages[1].se"] == ([True, False], False)


def test_the_card_says_what_is_unlike_attentive_nas(entry: Path) -> None:
    card = (entry / "README.md").read_text()
    assert "a network of plain, fused and inverted residual blocks" in card
    assert "| block | plain fused inverted |" in card
    assert "| shortcut | identity |" in card
    assert "| squeeze excite | base in, reduction 4, divisor 1, act silu, gate sigmoid |" in card
