from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch
from golden_network import FACTS
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import space_configs
from torch import Tensor, nn

from anas_zoo.core.errors import ProfileError
from anas_zoo.entry import Cost
from anas_zoo.nets import Subnet, Supernet
from anas_zoo.profiling import profile_flops
from anas_zoo.profiling.flops import ZERO_MACS, _trace
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig, count_by_walking

SPACE = SearchSpace.load("digits")


def subnet_of(arch: Architecture, num_classes: int = 10) -> Subnet:
    generator = torch.Generator().manual_seed(0)
    return Supernet(SPACE, num_classes, generator=generator).extract(arch)


@settings(max_examples=15, deadline=None)
@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
def test_every_structure_is_counted(config: SpaceConfig, seed: int) -> None:
    space = SearchSpace(config)
    arch = space.sample(np.random.default_rng(seed))
    cost = profile_flops(Subnet(arch, space.structure, num_classes=3), arch.resolution)
    assert (cost.macs, cost.params) == count_by_walking(space.structure, arch, 3)


class CumulativeSum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 1)


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.fft2(x)
        return spectrum.real


class Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)
        return x * torch.matmul(rows.transpose(1, 2), rows).mean()


@pytest.mark.parametrize("seed", range(4))
def test_trace_and_exact_count_agree_on_any_architecture(seed: int) -> None:
    arch = SPACE.sample(np.random.default_rng(seed))
    report = profile_flops(subnet_of(arch), arch.resolution)
    assert report.macs == int(SPACE.macs([arch], 10)[0])
    assert report.params == int(SPACE.params([arch], 10)[0])
    counts = report.fvcore_by_operator
    assert counts is not None
    assert report.fvcore_total is not None
    assert counts["conv"] + counts["linear"] == report.macs
    assert sum(counts.values()) == report.fvcore_total > report.macs


@pytest.mark.parametrize("resolution", [7, 13, 28])
def test_any_size_is_profiled_as_that_size(resolution: int) -> None:
    report = profile_flops(subnet_of(SPACE.smallest), resolution)
    arch = dataclasses.replace(SPACE.smallest, resolution=resolution)
    assert (report.macs, report.params) == count_by_walking(SPACE.structure, arch, 10)
    assert report.resolution == resolution


@pytest.mark.slow
def test_golden_a0() -> None:
    assert FACTS[0]["name"] == "a0"
    report = profile_flops(Subnet(FACTS[0]["arch"]), 192)
    assert (report.macs, report.params) == (203_389_568, 8_954_184)
    assert report.fvcore_total is not None
    assert 1.03 < report.fvcore_total / report.macs < 1.05


def test_report_survives_json() -> None:
    report = profile_flops(subnet_of(SPACE.smallest), 12)
    again = Cost.model_validate(json.loads(json.dumps(report.to_dict())))
    assert again == report


def test_other_parameters_are_an_error_with_both_numbers() -> None:
    subnet = subnet_of(SPACE.smallest)
    wide = nn.Conv2d(subnet.mix.in_channels, subnet.mix.out_channels, 3, padding=1, bias=False)
    subnet.mix = wide
    exact = int(SPACE.params([SPACE.smallest], 10)[0])
    live = sum(p.numel() for p in subnet.parameters())
    with pytest.raises(ProfileError, match=f"{live:,} parameters, the exact count is {exact:,}"):
        profile_flops(subnet, 12)


def test_other_multiply_adds_are_an_error_with_both_numbers() -> None:
    subnet = subnet_of(SPACE.smallest)
    conv = subnet.get_submodule("stem.conv")
    assert isinstance(conv, nn.Conv2d)
    conv.stride = (2, 2)
    exact = int(SPACE.macs([SPACE.smallest], 10)[0])
    with pytest.raises(ProfileError, match=rf"traces [\d,]+ multiply-adds .* exact count is {exact:,}$"):
        profile_flops(subnet, SPACE.smallest.resolution)


@pytest.mark.parametrize(
    ("layer", "named"),
    [(CumulativeSum(), "aten::cumsum"), (Spectrum(), "aten::fft_fft2"), (Attention(), "matmul")],
)
def test_an_operator_nobody_counts_is_an_error(layer: nn.Module, named: str) -> None:
    subnet = subnet_of(SPACE.smallest)
    subnet.mix_act = layer
    with pytest.raises(ProfileError, match=named):
        profile_flops(subnet, 12)


def test_the_network_is_left_as_it_was() -> None:
    subnet = subnet_of(SPACE.smallest).train()
    subnet.set_grad_checkpointing(True)
    before = {name: value.clone() for name, value in subnet.state_dict().items()}
    profile_flops(subnet, 12)
    subnet.mix_act = CumulativeSum()
    with pytest.raises(ProfileError):
        profile_flops(subnet, 12)
    assert subnet.training
    assert subnet.grad_checkpointing
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in subnet.modules())
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())


def test_what_cannot_run_is_one_line() -> None:
    subnet = subnet_of(SPACE.smallest)
    with pytest.raises(ProfileError, match="resolution must be a positive number of pixels, got 0"):
        profile_flops(subnet, 0)
    subnet.mix_act = nn.Unflatten(1, (7, 11))  # 96 channels do not divide so
    with pytest.raises(ProfileError, match="cannot run at 12×12") as caught:
        profile_flops(subnet, 12)
    assert "\n" not in str(caught.value)


def test_nothing_is_said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        profile_flops(subnet_of(SPACE.largest), 20)
    assert not caught
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_every_operator_excused_from_counting_is_really_used() -> None:
    """An excuse that no network needs would only hide something later."""
    met = set()
    further = {"padding": "same", "squeeze_excite": {"gate": "sigmoid"}}
    for act, pool, rules in (
        ("silu", "avg", {}),
        ("relu", "max", {}),
        ("hard_swish", "avgmax", {}),
        ("silu", "catavgmax", {}),
        ("relu6", "avg", further),
    ):
        structure = SPACE.structure.model_dump() | rules
        for part in (structure["stem"], structure["head"], *structure["stages"]):
            part["act"] = act
        subnet = Subnet(SPACE.smallest, structure, num_classes=10, global_pool=pool)
        met |= set(_trace(subnet, 12)[1])
    structure = SPACE.structure.model_dump()
    structure |= {
        "padding": "same",
        "squeeze_excite": {"gate": "sigmoid"},
        "stem": structure["stem"] | {"act": "relu6"},
    }
    met |= set(_trace(Subnet(SPACE.smallest, structure, num_classes=10), 12)[1])
    assert met == set(ZERO_MACS)
    assert all(len(reason) > 10 for reason in ZERO_MACS.values())
