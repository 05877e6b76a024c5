"""timm's networks as largest subnets: same logits, channels in order of importance, others refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets.sources import read_timm_network
from anas_zoo.nets.sources.timm_network import MODULES, TOLERANCE
from anas_zoo.nets.sources.timm_structure import NotOfTheFamily, read_network
from anas_zoo.space import SearchSpace

QUICK = ["mobilenetv2_050", "tf_mobilenetv3_small_100", "tinynet_e", "hardcorenas_a"]
PROMISED = [
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_lite0"),
    *(f"tf_efficientnet_lite{size}" for size in range(3)),
    *("mobilenetv2_100", "mobilenetv2_110d", "mobilenetv2_120d", "mobilenetv2_140"),
    *("mobilenetv3_large_100", "mobilenetv3_small_100", "tf_mobilenetv3_large_100"),
    *("mnasnet_100", "semnasnet_100", "fbnetc_100", "spnasnet_100", "fbnetv3_b"),
    *(f"hardcorenas_{letter}" for letter in "bcdef"),
    *(f"tinynet_{letter}" for letter in "abcd"),
]


def perturbed(name: str, num_classes: int = 1000) -> nn.Module:
    """timm's network in its own initialisation, with batch norms that are not the identity."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: nn.Module = timm.create_model(name, num_classes=num_classes).eval()
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm2d):
                nn.init.uniform_(norm.weight, 0.8, 1.2)
                nn.init.normal_(norm.bias, 0, 0.1)
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.normal_(0, 0.1)
                norm.running_var.uniform_(0.8, 1.2)
    return model


def _is_the_largest_subnet(name: str, folder: Path) -> None:
    model = perturbed(name, num_classes=12)
    save_file(model.state_dict(), folder / "weights.safetensors")
    found = read_timm_network(name, checkpoint=folder / "weights.safetensors")
    space = found.supernet.space
    side = timm.get_pretrained_cfg(name).input_size[1]
    assert space.largest.resolution == side
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = model(images)
        got = found.supernet.extract(space.largest)(images)
    assert (got - wanted).abs().max() <= TOLERANCE * wanted.std()
    assert found.difference <= TOLERANCE
    params = sum(parameter.numel() for parameter in model.parameters())
    assert space.params([space.largest], num_classes=12).tolist() == [params]
    counters = sum(key.endswith("num_batches_tracked") for key in model.state_dict())
    assert len(found.coverage.used) + counters == len(model.state_dict())
    smallest, largest = space.macs([space.smallest, space.largest])
    assert smallest < largest / 4


@pytest.mark.parametrize("name", QUICK)
def test_a_network_is_the_largest_subnet(name: str, tmp_path: Path) -> None:
    _is_the_largest_subnet(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISED)
def test_so_is_every_network_that_is_promised(name: str, tmp_path: Path) -> None:
    _is_the_largest_subnet(name, tmp_path)


def test_mid_channels_are_in_order_of_the_weights_that_project_them(tmp_path: Path) -> None:
    torch.save({"state_dict": perturbed("mobilenetv3_small_100").state_dict()}, tmp_path / "weights.pth")
    found = read_timm_network("mobilenetv3_small_100", checkpoint=tmp_path / "weights.pth")
    blocks = [block for stage in found.supernet.stages for block in stage]  # type: ignore[attr-defined]
    sorted_ = 0
    for block in blocks:
        if block.expand is None:
            continue
        norms = block.project.conv.weight.abs().sum(dim=(0, 2, 3))
        assert (norms.diff() <= 0).all()
        sorted_ += 1
    assert sorted_ == 10


def test_resolutions_can_be_given(tmp_path: Path) -> None:
    save_file(perturbed("tinynet_e").state_dict(), tmp_path / "weights.safetensors")
    found = read_timm_network(
        "tinynet_e", checkpoint=tmp_path / "weights.safetensors", resolutions=[64, 96, 128]
    )
    assert found.supernet.space.config.resolution == (64, 96, 128)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf_efficientnet_lit0", r"timm has no network 'tf_efficientnet_lit0' \(did you mean 'tf_efficient"),
        ("resnet18", "resnet18 cannot be made a supernet: it is a ResNet, .*of this family are for example"),
        ("mixnet_s", "kernels of several sizes|MixedConv2d"),
        ("mobilenetv4_conv_small", "block 0.0 is a ConvBnAct"),
        ("efficientnet_b0_gn", "GroupNormAct, not a batch norm"),
        ("lcnet_050", "an activation after its projection"),
    ],
)
def test_what_is_not_of_the_family_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_timm_network(name)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file(perturbed("tinynet_e").state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"not timm's tinynet_d; .* of wrong shape"):
        read_timm_network("tinynet_d", checkpoint=tmp_path / "weights.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"cut.safetensors: .*; give a checkpoint of timm's"):
        read_timm_network("tinynet_e", checkpoint=tmp_path / "cut.safetensors")


def of_the_family() -> list[str]:
    """Every name of timm's that can be made a supernet."""
    found = []
    for name in timm.list_models(module=list(MODULES)):
        with torch.device("meta"):
            model = timm.create_model(name)
        try:
            space = read_network(model, name, model.pretrained_cfg["input_size"][1]).space
        except NotOfTheFamily:
            continue
        assert SearchSpace.from_dict(space.to_dict()).id == space.id
        found.append(name)
    return found


@pytest.mark.slow
def test_docs_list_every_name_of_the_family() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    block = text.partition("<!-- timm's names -->")[2].partition("<!-- end of timm's names -->")[0]
    assert block.replace("`", "").replace(",", "").split() == sorted(of_the_family())
