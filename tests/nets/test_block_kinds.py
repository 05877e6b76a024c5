"""Plain and fused blocks: what they compute, and that timm's arguments reach them."""

from __future__ import annotations

import warnings

import pytest
import torch
from block_kinds import EVERY_KIND, PLAIN, written_by_hand
from torch import Tensor, nn

from anas_zoo.core.errors import ConfigError, SpaceError
from anas_zoo.nets import Subnet, Supernet
from anas_zoo.nets.blocks import FusedResidual, InvertedResidual, PlainBlock
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.space.structure import Structure

LARGEST = EVERY_KIND.largest


def _images(count: int = 2, side: int = 16) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


def _subnet(arch: Architecture = LARGEST, **arguments: object) -> Subnet:
    torch.manual_seed(0)
    network = Subnet(arch, EVERY_KIND.structure, num_classes=10, **arguments)  # type: ignore[arg-type]
    network.train()(_images(8))  # statistics that are not those of initialisation
    return network.eval()


@torch.no_grad()
def test_a_network_of_plain_blocks_is_what_one_would_write_by_hand() -> None:
    subnet = Supernet(PLAIN, 10, generator=torch.Generator().manual_seed(0)).extract(PLAIN.smallest)
    assert torch.equal(subnet(_images()), written_by_hand(subnet)(_images()))


@torch.no_grad()
def test_what_each_kind_computes() -> None:
    network = _subnet()
    # The second blocks, which have a shortcut.
    plain, fused, inverted = (network.get_submodule(f"stages.{stage}.1") for stage in range(3))
    assert isinstance(plain, PlainBlock)
    assert isinstance(fused, FusedResidual)
    assert isinstance(inverted, InvertedResidual)
    x = torch.randn(2, 16, 8, 8)
    relu = nn.functional.relu
    torch.testing.assert_close(plain(x), relu(x + plain.dense.bn(plain.dense.conv(x))))
    x = torch.randn(2, 24, 4, 4)
    scaled = fused.se(relu(fused.dense.bn(fused.dense.conv(x))))
    torch.testing.assert_close(fused(x), x + fused.project.bn(fused.project.conv(scaled)))
    assert fused.dense.conv.kernel_size == (5, 5)
    assert fused.dense.conv.out_channels == 48
    x = torch.randn(2, 32, 4, 4)
    branch = inverted.depthwise(inverted.expand(x))
    torch.testing.assert_close(inverted(x), x + inverted.project(branch))


def test_smaller_kernels_are_the_centre_and_channels_lead_on_both_sides() -> None:
    supernet = Supernet(EVERY_KIND, 10, generator=torch.Generator().manual_seed(0))
    small = EVERY_KIND.smallest
    weight = supernet.extract(small).state_dict()["stages.1.0.dense.conv.weight"]
    whole = supernet.state_dict()["stages.1.0.dense.conv.weight"]
    assert whole.shape == (32, 16, 5, 5)
    assert torch.equal(weight, whole[:8, :8, 1:4, 1:4])


@torch.no_grad()
def test_torch_script() -> None:
    network = _subnet()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=FutureWarning)
        scripted = torch.jit.script(network)
    torch.testing.assert_close(scripted(_images(side=13)), network(_images(side=13)))


@torch.no_grad()
def test_another_activation_reaches_every_kind() -> None:
    network = _subnet(act_layer=nn.ELU)
    inside = [m for stage in network.stages for m in stage.modules() if isinstance(m, nn.ELU)]
    assert len(inside) == 2 * (1 + 1 + 2)
    left = [name for name, m in network.named_modules() if isinstance(m, nn.ReLU)]
    assert left == ["stages.1.0.se.act", "stages.1.1.se.act"]


@torch.no_grad()
def test_every_second_pixel_of_a_dilated_network_is_as_before() -> None:
    structure = EVERY_KIND.structure.model_dump()
    structure["stages"][1]["se"] = False  # it would see another average
    torch.manual_seed(0)
    network = Subnet(LARGEST, structure, num_classes=10).eval()
    dense = Subnet(LARGEST, structure, num_classes=10, output_stride=2).eval()
    dense.load_state_dict(network.state_dict())
    got, want = dense.forward_features(_images()), network.forward_features(_images())
    assert got.shape[-1] == 2 * want.shape[-1]
    torch.testing.assert_close(got[..., ::2, ::2], want)


def test_a_stage_at_its_default_says_nothing_of_its_kind() -> None:
    stages = EVERY_KIND.to_dict()["stages"]
    assert [stage.get("block") for stage in stages] == ["plain", "fused", None]


@pytest.mark.parametrize(
    ("stage", "changed", "said"),
    [
        (0, {"expand_ratio": [2]}, "stage plain: the expand ratio of plain blocks is 1"),
        (0, {"se": True}, "plain blocks have no squeeze-and-excite"),
        (1, {"always_expands": True}, "always_expands is of inverted blocks, not of fused ones"),
        (2, {"expand_ratio": [1, 2]}, "stage inverted: expand ratio 1 cannot be mixed with others"),
        (2, {"block": "dense"}, "Input should be 'inverted', 'fused' or 'plain'"),
    ],
)
def test_what_a_kind_cannot_have(stage: int, changed: dict[str, object], said: str) -> None:
    data = EVERY_KIND.to_dict()
    data["stages"][stage] |= changed
    with pytest.raises(ConfigError, match=said):
        SearchSpace.from_dict(data)


def test_an_architecture_that_a_structure_cannot_have() -> None:
    arch = LARGEST.to_dict() | {"expand_ratio": [2, 2, 3]}
    structure: Structure = EVERY_KIND.structure
    with pytest.raises(SpaceError, match="expand_ratio of stage 0, whose blocks are plain, is not 1"):
        Subnet(arch, structure)
