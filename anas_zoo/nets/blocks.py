"""The layers of a fixed network. Every module takes (N, C, H, W) and keeps the batch axis."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from anas_zoo.space import BlockPlan
from anas_zoo.space.structure import Activation

BN_EPS = 1e-5


def activation(name: Activation) -> nn.Module:
    """The activation layer of a name; all of them script, trace and export."""
    return {"silu": nn.SiLU, "relu": nn.ReLU, "hard_swish": nn.Hardswish}[name](inplace=True)


class ConvNormAct(nn.Module):
    """Convolution without bias, batch norm, and an activation unless ``act`` is None."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        act: Activation | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_chs, out_chs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_chs, eps=BN_EPS)
        self.act = activation(act) if act is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SqueezeExcite(nn.Module):
    """Channel attention: global mean, 1×1 conv, ReLU, 1×1 conv, hard sigmoid, multiply."""

    def __init__(self, chs: int, reduced_chs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(chs, reduced_chs, 1)
        self.expand = nn.Conv2d(reduced_chs, chs, 1)
        self.act = nn.ReLU(inplace=True)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape, each channel scaled by its gate."""
        weight = self.gate(self.expand(self.act(self.reduce(F.adaptive_avg_pool2d(x, 1)))))
        return x * weight  # type: ignore[no-any-return]


class Shortcut(nn.Module):
    """The shortcut of a block whose shape changes: average pool for the stride, 1×1 conv for the width.

    Attributes:
        stride: of the pool.
        dense: the stride was dropped (see :func:`anas_zoo.nets.variants.dilate`); the average of 2×2 stays,
            for every pixel.
    """

    def __init__(self, in_chs: int, out_chs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.dense = False
        self.conv = nn.Conv2d(in_chs, out_chs, 1, bias=False) if in_chs != out_chs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        if self.stride > 1:
            x = pool_shortcut(x, self.stride)
        elif self.dense:
            x = F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)
        return self.conv(x)  # type: ignore[no-any-return]


def pool_shortcut(x: Tensor, stride: int) -> Tensor:
    """Average pool of a shortcut, padded by 1 where the side is odd so that it ends as the conv's does."""
    if not torch.jit.is_scripting() and torch.compiler.is_compiling():  # type: ignore[attr-defined]
        # torch.export would fix the parity of the sides. One more row and column at whichever end makes all
        # sides (H + 1), of which the pool leaves ⌈H/2⌉ as the convolution does; the values are the same.
        top, left = x.shape[2] % 2, x.shape[3] % 2
        return F.avg_pool2d(F.pad(x, (left, 1 - left, top, 1 - top)), stride)
    padding = (x.shape[2] % 2, x.shape[3] % 2)
    return F.avg_pool2d(x, stride, stride, padding)


class InvertedResidual(nn.Module):
    """Inverted residual block with a shortcut in every case and no activation after the addition."""

    def __init__(self, plan: BlockPlan, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        mid, act = plan.mid_chs, plan.act
        self.expand = ConvNormAct(plan.in_chs, mid, act=act) if plan.expands else nn.Identity()
        self.depthwise = ConvNormAct(mid, mid, plan.kernel_size, stride=plan.stride, groups=mid, act=act)
        self.se = SqueezeExcite(mid, plan.se_chs) if plan.se_chs else nn.Identity()
        self.project = ConvNormAct(mid, plan.out_chs)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
        self.shortcut = (
            nn.Identity() if plan.shortcut == "identity" else Shortcut(plan.in_chs, plan.out_chs, plan.stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        branch = self.project(self.se(self.depthwise(self.expand(x))))
        return self.shortcut(x) + self.drop_path(branch)  # type: ignore[no-any-return]


def init_weights(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Initialise convolutions (normal, √(2 / fan out)), batch norms (1, 0) and linear layers (0.01)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * layer.kernel_size[0] ** 2 // layer.groups
            nn.init.normal_(layer.weight, 0.0, (2.0 / fan_out) ** 0.5, generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.01, generator=generator)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
