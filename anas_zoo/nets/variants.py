"""timm's arguments that change a network which was built as its architecture says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, cast

from timm.layers import create_act_layer
from torch import nn

from anas_zoo.core.errors import ConfigError
from anas_zoo.nets.blocks import Block, ConvNormAct, PlainBlock, Shortcut, spatial_conv

ActLayer: TypeAlias = str | type[nn.Module]


def replace_activations(network: nn.Module, act_layer: ActLayer) -> None:
    """Replace every activation by ``act_layer``, except those inside squeeze-and-excite."""
    if not isinstance(network.get_submodule("mix_act"), nn.Identity):
        network.register_module("mix_act", create_act_layer(act_layer, inplace=True))
    for layer in network.modules():
        if isinstance(layer, ConvNormAct | PlainBlock) and not isinstance(layer.act, nn.Identity):
            layer.act = create_act_layer(act_layer, inplace=True)


def set_batch_norm(network: nn.Module, momentum: float | None, eps: float | None) -> None:
    """Give every batch norm another momentum or epsilon; None leaves what it has."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = layer.momentum if momentum is None else momentum
            layer.eps = layer.eps if eps is None else eps


def dilate(stages: Iterable[nn.Module], stem_stride: int, output_stride: int) -> None:
    """Keep every feature map at 1 / ``output_stride`` of the image or larger.

    Where a stride is dropped, the convolutions after it are dilated instead, as timm's builder does. The
    weights stay the same, and except for squeeze-and-excite every second pixel keeps its value.

    Raises :class:`ConfigError` for an output stride that the network does not have.
    """
    blocks = [cast(Block, block) for stage in stages for block in cast(nn.Sequential, stage)]
    reached = [stem_stride]
    for block in blocks:
        reached.append(reached[-1] * spatial_conv(block).stride[0])
    larger = [2**power for power in range(6) if 2**power > reached[-1]]  # timm's default is 32
    possible = sorted({*reached, *larger})
    if output_stride not in possible:
        raise ConfigError(
            f"output_stride can be {', '.join(map(str, possible))} for this network; got {output_stride!r}"
        )
    dilation = 1
    for block, total in zip(blocks, reached[1:], strict=True):
        conv, dropped = spatial_conv(block), 1
        if conv.stride[0] > 1 and total > output_stride:
            dropped = conv.stride[0]
            conv.stride = (1, 1)
            if isinstance(block.shortcut, Shortcut):
                block.shortcut.stride, block.shortcut.dense = 1, True
        conv.dilation = (dilation, dilation)
        conv.padding = tuple(dilation * (side // 2) for side in conv.kernel_size)
        dilation *= dropped  # from the next block on
