"""What int8 costs each part of a network, as measured; and that an export leaves the worst in float."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from exported_digits import SPACE, folded, images

from anas_zoo.exporting import Target
from anas_zoo.exporting.graph import write_graph
from anas_zoo.exporting.quantization import layer_of
from anas_zoo.exporting.sensitivity import rank_parts, sensitive_parts
from anas_zoo.exporting.target import Quantization
from anas_zoo.exporting.traced import trace_graph
from anas_zoo.nets import Subnet

TARGET = Target.load("ort-cpu-int8")
assert TARGET.quantization is not None
HOW = Quantization.model_validate(TARGET.quantization.model_dump() | {"min_images": 1})
SIDE = SPACE.largest.resolution


@torch.no_grad()
def spoilt(network: Subnet, block: str) -> Subnet:
    """``network`` computing what it did, with one channel of ``block`` so large that 8 bits hold no other."""
    changed = copy.deepcopy(network)
    parts: Any = changed.get_submodule(block)
    first, second = parts.depthwise.conv, parts.project.conv
    first.weight[0] *= 1e4
    first.bias[0] *= 1e4
    second.weight[:, 0] /= 1e4
    return changed


@pytest.mark.parametrize(
    ("node", "layer"),
    [
        ("stages.1.0.expand.conv", "stages.1.0"),
        ("stem.conv", "stem"),
        ("classifier", "classifier"),
        ("/layer1/layer1.0/conv1/Conv", "layer1/layer1.0"),
        ("/stages/stages.2/blocks/blocks.1/attn/qkv/MatMul", "stages/stages.2/blocks/blocks.1"),
        ("/conv1/Conv", "conv1"),
        ("/Flatten", "/Flatten"),
    ],
)
def test_the_layer_of_a_node(node: str, layer: str) -> None:
    assert layer_of(node) == layer


def test_every_node_of_a_network_of_timms_is_of_a_layer_of_its_own() -> None:
    network: Any = timm.create_model("test_vit", num_classes=3, exportable=True).eval()
    graph = trace_graph(network, 160, opset=17, dtype=torch.float32).graph
    blocks = {layer_of(node.name) for node in graph.node if node.op_type in ("MatMul", "Gemm", "Conv")}
    assert {name for name in blocks if name.startswith("blocks/")} == {
        f"blocks/blocks.{number}" for number in range(len(network.blocks))
    }
    assert len(blocks) < 10


@pytest.mark.parametrize("block", ["stages.0.0", "stages.1.0"])
def test_the_part_that_was_spoilt_costs_most(block: str) -> None:
    network = folded(SPACE.largest)
    parts: Any = network.get_submodule(block)
    parts.depthwise.act = torch.nn.Identity()  # which a factor goes through
    model = write_graph(spoilt(network, block), SIDE, opset=17)
    found = rank_parts(model, images(40, SIDE, seed=12), HOW)
    assert found[0] == block


def test_parts_are_found_of_a_network_and_a_target() -> None:
    network: Any = timm.create_model("test_resnet", num_classes=3, exportable=True).eval()
    target = TARGET.model_copy(update={"quantization": HOW})
    found = sensitive_parts(network, target, 160, torch.randn(8, 3, 160, 160))
    names = {name.split(".")[0] for name, _ in network.named_modules()}
    assert found
    assert {part.split("/")[0] for part in found} <= names


@pytest.mark.parametrize("batch", [3, 100])
def test_parts_of_a_file_with_a_fixed_batch(batch: int) -> None:
    """Whose number of images the calibration images need not divide, or reach."""
    model = write_graph(folded(SPACE.smallest), SPACE.smallest.resolution, opset=17, batch=batch)
    found = rank_parts(model, images(40, SPACE.smallest.resolution, seed=12), HOW)
    assert set(found) < {"stem", "head", "classifier", "mix", *(f"stages.{n}.0" for n in range(9))}
