"""What timm's arguments change of a network that was built as its architecture says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, cast

import torch
from timm.layers import SelectAdaptivePool2d, create_act_layer
from torch import nn

from anas_zoo.core.errors import ConfigError
from anas_zoo.nets.blocks import ConvNormAct, InvertedResidual, Shortcut

__all__ = ["ActLayer", "check_numbers", "dilate", "global_pooling", "replace_activations", "set_batch_norm"]

ActLayer: TypeAlias = str | type[nn.Module]


def check_numbers(
    num_classes: int, in_chans: int, drop_rate: float, drop_path_rate: float, dtype: torch.dtype | None
) -> None:
    """Raise :class:`ConfigError` for a value that no network can have."""
    if num_classes < 0:
        raise ConfigError(f"num_classes is 0 (no classifier) or more, got {num_classes}")
    if in_chans < 1:
        raise ConfigError(f"in_chans is 1 or more, got {in_chans}")
    for name, rate in (("drop_rate", drop_rate), ("drop_path_rate", drop_path_rate)):
        if not 0.0 <= rate < 1.0:
            raise ConfigError(f"{name} is at least 0 and less than 1, got {rate}")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ConfigError(f"dtype is a floating-point type of torch, such as torch.float16; got {dtype!r}")


def global_pooling(kind: str) -> SelectAdaptivePool2d:
    """The pooling layer of a name; raises :class:`ConfigError` for an unknown one."""
    try:
        return SelectAdaptivePool2d(pool_type=kind)
    except (AssertionError, AttributeError) as exc:
        raise ConfigError(
            f"global_pool is 'avg', 'max', 'avgmax', 'catavgmax' or '' for none; got {kind!r}"
        ) from exc


def replace_activations(network: nn.Module, act_layer: ActLayer) -> None:
    """Put ``act_layer`` in the place of every activation but those inside of squeeze-and-excite.

    Raises :class:`ConfigError` when it is neither a name that timm knows nor a module's class.
    """

    def make() -> nn.Module:
        try:
            layer = create_act_layer(act_layer, inplace=True)
        except (KeyError, TypeError) as exc:
            layer = exc
        if not isinstance(layer, nn.Module):
            raise ConfigError(
                "act_layer is a name that timm knows, such as 'relu', 'gelu' or 'hard_swish', or the class "
                f"of a module without arguments of its own; got {act_layer!r}"
            )
        return layer

    network.register_module("mix_act", make())
    for layer in network.modules():
        if isinstance(layer, ConvNormAct) and not isinstance(layer.act, nn.Identity):
            layer.act = make()


def set_batch_norm(network: nn.Module, momentum: float | None, eps: float | None) -> None:
    """Give every batch norm another momentum or epsilon; None leaves what it has."""
    if momentum is not None and not 0.0 <= momentum <= 1.0:
        raise ConfigError(f"bn_momentum is between 0 and 1, got {momentum}")
    if eps is not None and not eps > 0.0:
        raise ConfigError(f"bn_eps is more than 0, got {eps}")
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = layer.momentum if momentum is None else momentum
            layer.eps = layer.eps if eps is None else eps


def dilate(stages: Iterable[nn.Module], stem_stride: int, output_stride: int) -> None:
    """Let no map be more than ``output_stride`` times smaller than the image.

    Where a stride is dropped the convolutions after it are dilated instead, as timm's builder does it. The
    weights stay as they are, and but for squeeze-and-excite every second pixel keeps its value.

    Raises :class:`ConfigError` for a stride that the network does not pass through.
    """
    blocks = [cast(InvertedResidual, block) for stage in stages for block in cast(nn.Sequential, stage)]
    reached = [stem_stride]
    for block in blocks:
        reached.append(reached[-1] * block.depthwise.conv.stride[0])
    larger = [2**power for power in range(6) if 2**power > reached[-1]]  # timm's default is 32
    possible = sorted({*reached, *larger})
    if output_stride not in possible:
        raise ConfigError(
            f"output_stride is {', '.join(map(str, possible))} for this network, and changes nothing from "
            f"{reached[-1]} on; got {output_stride!r}"
        )
    dilation = 1
    for block, total in zip(blocks, reached[1:], strict=True):
        conv, dropped = block.depthwise.conv, 1
        if conv.stride[0] > 1 and total > output_stride:
            dropped = conv.stride[0]
            conv.stride = (1, 1)
            if isinstance(block.shortcut, Shortcut):
                block.shortcut.stride, block.shortcut.dense = 1, True
        conv.dilation = (dilation, dilation)
        conv.padding = tuple(dilation * (side // 2) for side in conv.kernel_size)
        dilation *= dropped  # from the next block on
