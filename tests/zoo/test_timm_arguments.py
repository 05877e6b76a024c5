"""Arguments of timm.create_model that change the network, as in timm's own networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from catalog_entries import FIRST_FORMAT
from torch import Tensor, nn

from anas_zoo import create_model
from anas_zoo.core.errors import ConfigError
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.nets.blocks import SqueezeExcite
from anas_zoo.space import SearchSpace

DIGITS = SearchSpace.load("digits")


def images(side: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def small(**kwargs: Any) -> Any:
    return timm.create_model("attentive_nas", arch=DIGITS.smallest, structure=DIGITS.structure, **kwargs)


@pytest.mark.parametrize(
    "arguments",
    [{"output_stride": 16}, {"output_stride": 8, "out_indices": (1, 4)}, {"feature_cls": "getter"}],
    ids=str,
)
def test_feature_maps_are_of_the_sizes_that_timms_own_model_has(arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours, timms = (
            timm.create_model(name, features_only=True, **arguments)
            for name in ("attentive_nas_a0", "mobilenetv3_large_100")
        )
        assert ours.feature_info.reduction() == timms.feature_info.reduction()
        shapes = [[m.shape[-2:] for m in model.eval()(torch.empty(1, 3, 64, 64))] for model in (ours, timms)]
    assert shapes[0] == shapes[1]


def test_types_devices_and_batch_norm() -> None:
    half = timm.create_model("digits_s", pretrained=True, dtype=torch.bfloat16).eval()
    assert next(half.parameters()).dtype == torch.bfloat16
    assert half.is_calibrated()
    plain = timm.create_model("digits_s", pretrained=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(half(images(6).bfloat16()).float(), plain(images(6)), rtol=0.1, atol=0.5)
    assert next(small(device="meta").parameters()).is_meta
    with torch.device("meta"):
        assert not next(small(device="cpu").parameters()).is_meta
    norms = [m for m in small(bn_momentum=0.01, bn_eps=1e-3).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.momentum, m.eps) for m in norms} == {(0.01, 1e-3)}


@pytest.mark.parametrize("act_layer", ["gelu", nn.GELU])
@torch.no_grad()
def test_another_activation_is_everywhere_but_in_squeeze_and_excite(act_layer: Any) -> None:
    model = small(act_layer=act_layer)
    inside = {id(m) for se in model.modules() if isinstance(se, SqueezeExcite) for m in se.modules()}
    kinds = {type(m).__name__ for m in model.modules() if not list(m.children()) and id(m) not in inside}
    assert "GELU" in kinds
    assert not kinds & {"SiLU", "ReLU", "Hardswish"}
    assert {type(m.act) for m in model.modules() if isinstance(m, SqueezeExcite)} == {nn.ReLU}
    assert torch.isfinite(model.eval()(images(8))).all()


@torch.no_grad()
def test_every_second_pixel_of_a_dilated_network_is_as_before() -> None:
    """True of the convolutions and of the shortcuts' average; squeeze-and-excite sees another average."""
    structure = DIGITS.structure.model_dump()
    for stage in structure["stages"]:
        stage["se"] = False
    arguments = {"arch": DIGITS.largest, "structure": structure}
    torch.manual_seed(0)
    plain = timm.create_model("attentive_nas", **arguments).eval()
    denser = timm.create_model("attentive_nas", **arguments, output_stride=1)
    assert [info["reduction"] for info in denser.feature_info] == [1, 1, 1]
    dense = timm.create_model("attentive_nas", **arguments, output_stride=2).eval()
    dense.load_state_dict(plain.state_dict())
    x = images(16)
    got, want = dense.forward_features(x), plain.forward_features(x)
    assert got.shape[-1] == 2 * want.shape[-1]
    torch.testing.assert_close(got[..., ::2, ::2], want)


def test_a_dilated_network_is_exported_right(tmp_path: Path) -> None:
    model = Subnet(DIGITS.largest, DIGITS.structure, num_classes=10, output_stride=1)
    side = DIGITS.largest.resolution
    calibrate_bn(model, [images(side, 16)])
    report = export_onnx(
        model,
        tmp_path / "model.onnx",
        target=Target.load("ort-cpu-fp32"),
        resolution=side,
        metadata={},
        images=images(side, 4),
    )
    assert report.parity is not None
    assert report.parity.max_abs_logit_diff < 1e-4


@pytest.mark.parametrize(
    ("arguments", "published"),
    [
        ({"bn_momentum": 0.2, "output_stride": 4, "drop_rate": 0.1}, True),
        ({"act_layer": "relu"}, False),
        ({"bn_eps": 1e-3}, False),
        ({"output_stride": 2}, False),
    ],
)
def test_a_network_that_computes_something_else_is_not_calibrated(
    arguments: dict[str, Any], published: bool
) -> None:
    for make in (timm.create_model, create_model):
        model: Any = make(f"local-dir:{FIRST_FORMAT}", pretrained=True, **arguments)
        assert model.is_calibrated() is published
        calibrate_bn(model, [images(6, 8)])
        assert model.is_calibrated()


def test_an_output_stride_that_the_network_does_not_have() -> None:
    with pytest.raises(ConfigError, match=r"output_stride can be 1, 2, 4, 8, 16, 32 for this .*; got 7"):
        small(output_stride=7)
