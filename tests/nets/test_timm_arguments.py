"""Arguments of timm.create_model: those that timm's own mobilenetv3_large_100 takes, and wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from anas_zoo import create_model
from anas_zoo.core.errors import ConfigError
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.nets.blocks import SqueezeExcite
from anas_zoo.space import SearchSpace

RIVAL = "mobilenetv3_large_100"
DIGITS = SearchSpace.load("digits")


def images(side: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def small(**kwargs: Any) -> Any:
    return timm.create_model("attentive_nas", arch=DIGITS.smallest, structure=DIGITS.structure, **kwargs)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": torch.float16},
        {"device": "meta"},
        {"device": torch.device("cpu"), "dtype": torch.float64},
        {"output_stride": 16, "features_only": True},
        {"output_stride": 8, "features_only": True, "out_indices": (1, 4)},
        {"act_layer": "relu"},
        {"act_layer": nn.ReLU6},
        {"bn_momentum": 0.01},
        {"bn_eps": 1e-3},
        {"bn_momentum": 0.01, "bn_eps": 1e-3, "drop_rate": 0.2, "drop_path_rate": 0.1},
        {"global_pool": "max"},
        {"in_chans": 1, "num_classes": 7},
        {"features_only": True, "feature_cls": "getter"},
        {"scriptable": True},
        {"exportable": True},
    ],
    ids=str,
)
def test_what_timms_own_model_takes_is_taken_alike(arguments: dict[str, Any]) -> None:
    ours, timms = (timm.create_model(name, **arguments) for name in ("attentive_nas_a0", RIVAL))
    for one in (ours, timms):
        parameter = next(one.parameters())
        assert parameter.dtype == arguments.get("dtype", torch.float32)
        assert parameter.device.type == torch.device(arguments.get("device", "cpu")).type
    if arguments.get("features_only"):
        assert ours.feature_info.reduction() == timms.feature_info.reduction()
        shapes = [[m.shape[-2:] for m in model.eval()(images(64))] for model in (ours, timms)]
        assert shapes[0] == shapes[1]
    norms = [m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {arguments.get("bn_momentum", 0.1)}
    assert {m.eps for m in norms} == {arguments.get("bn_eps", 1e-5)}


@torch.no_grad()
def test_types_and_devices_compute() -> None:
    plain, half = (
        timm.create_model("digits_s", pretrained=True, dtype=d).eval() for d in (None, torch.bfloat16)
    )
    x = images(6)
    torch.testing.assert_close(half(x.bfloat16()).float(), plain(x), rtol=0.1, atol=0.5)
    assert half.is_calibrated()
    assert next(small(device="meta").parameters()).is_meta
    with torch.device("meta"):
        assert not next(small(device="cpu").parameters()).is_meta


@torch.no_grad()
def test_another_activation_is_everywhere_but_in_squeeze_and_excite() -> None:
    model = small(act_layer="gelu")
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
    for output_stride in (2, 1):
        dense = timm.create_model("attentive_nas", **arguments, output_stride=output_stride).eval()
        dense.load_state_dict(plain.state_dict())
        assert [info["reduction"] for info in dense.feature_info] == [
            1,
            *[min(r, output_stride) for r in (2, 4)],
        ]
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
        ({}, True),
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
        model: Any = make("digits_s", pretrained=True, **arguments)
        assert model.is_calibrated() is published
        calibrate_bn(model, [images(6, 8)])
        assert model.is_calibrated()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dtype": "float16"}, r"dtype is a floating-point type .* as torch\.float16; got 'float16'"),
        ({"dtype": torch.int8}, r"got torch\.int8"),
        ({"output_stride": 7}, r"output_stride is 1, 2, 4, 8, 16, 32 for this .*; got 7"),
        ({"act_layer": "nosuch"}, r"act_layer is a name that timm knows, .* got 'nosuch'"),
        ({"act_layer": torch.relu}, r"the class of a module .* got <built-in"),
        ({"bn_momentum": 2.0}, r"bn_momentum is between 0 and 1, got 2\.0"),
        ({"bn_eps": 0.0}, r"bn_eps is more than 0, got 0\.0"),
        ({"drop_rate": 1.5}, r"drop_rate is at least 0 and less than 1, got 1\.5"),
        ({"drop_path_rate": -0.1}, r"drop_path_rate is at least 0"),
        ({"global_pool": "agv"}, r"global_pool is 'avg', 'max', .* got 'agv'"),
        ({"in_chans": 0}, r"in_chans is 1 or more, got 0"),
        ({"num_classes": -1}, r"num_classes is 0 \(no classifier\) or more, got -1"),
        ({"out_indices": (0,)}, r"out_indices is about .* give it together with features_only"),
        ({"features_only": True, "out_indices": (1, 3)}, r"out_indices are 0 to 2 .*, got \(1, 3\)"),
        ({"act_leyer": "relu"}, r"no argument 'act_leyer' \(did you mean 'act_layer'\?\); it"),
        ({"norm_layer": nn.BatchNorm2d}, r"takes no argument 'norm_layer'"),
        ({"pad_type": "same"}, r"everything else about it is its architecture"),
    ],
    ids=lambda value: re.sub(" at 0x\\w+", "", str(value)),  # the same in every process
)
def test_an_argument_that_makes_no_sense_gets_one_line(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        small(**arguments)
    assert "\n" not in str(caught.value)


def test_resetting_the_classifier_says_which_pools_there_are() -> None:
    with pytest.raises(ConfigError, match="got 'agv'"):
        small().reset_classifier(3, "agv")
