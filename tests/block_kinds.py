"""Small spaces: stages of every kind of block, and plain ones, whose networks one would write by hand."""

from __future__ import annotations

from typing import Any

from torch import nn

from anas_zoo.nets import Subnet
from anas_zoo.nets.blocks import ConvNormAct
from anas_zoo.space import SearchSpace


def _stage(
    block: str, stride: int, width: list[int], ratios: list[int], *, se: bool = False
) -> dict[str, Any]:
    sizes = {"width": width, "depth": [1, 2], "kernel_size": [3, 5], "expand_ratio": ratios}
    return sizes | {"name": block, "block": block, "stride": stride, "se": se, "act": "relu"}


EVERY_KIND = SearchSpace.from_dict(
    {
        "name": "every_kind",
        "resolution": [12, 16],
        "stem": {"width": [8], "stride": 1, "kernel_size": 3, "act": "relu"},
        "stages": [
            _stage("plain", 2, [8, 16], [1]),
            _stage("fused", 2, [16, 24], [1, 2], se=True),
            _stage("inverted", 1, [24, 32], [2, 3]),
        ],
        "head": {"kind": "conv_pool", "width": [32], "act": "relu"},
        "shortcut": "identity",
    }
)


PLAIN = SearchSpace.from_dict(
    EVERY_KIND.to_dict()
    | {"name": "plain", "stages": [_stage("plain", 2, [8, 16], [1]), _stage("plain", 2, [32], [1])]}
)


def written_by_hand(subnet: Subnet) -> nn.Sequential:
    """The layers of a network of plain blocks that change their shape, one after the other."""
    convs = [m for m in subnet.modules() if isinstance(m, ConvNormAct)]
    layers: list[nn.Module] = []
    for layer in convs:
        layers += [layer.conv, layer.bn, nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), subnet.classifier)
