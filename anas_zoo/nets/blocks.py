"""The layers of a fixed network. Every module takes (N, C, H, W) and keeps the batch axis."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from anas_zoo.space import BlockPlan
from anas_zoo.space.structure import Activation, Gate, NetworkRules, SqueezeExciteStructure

DEFAULT_RULES = NetworkRules()


def activation(name: Activation) -> nn.Module:
    """The activation layer of a name; all of them script, trace and export."""
    layers: dict[str, Callable[..., nn.Module]] = {
        "silu": nn.SiLU,
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hard_swish": nn.Hardswish,
    }
    return layers[name](inplace=True)


def gate(name: Gate) -> nn.Module:
    """The gate of a squeeze-and-excite."""
    return nn.Hardsigmoid() if name == "hard_sigmoid" else nn.Sigmoid()


def pad_same(x: Tensor, kernel_size: int, stride: int) -> Tensor:
    """``x`` with the zeros that :func:`anas_zoo.space.plan.same_padding` says, (N, C, H, W)."""
    height, width = x.shape[-2], x.shape[-1]
    down = max((height + stride - 1) // stride * stride - stride + kernel_size - height, 0)
    across = max((width + stride - 1) // stride * stride - stride + kernel_size - width, 0)
    return F.pad(x, [across // 2, across - across // 2, down // 2, down - down // 2])


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's "same" does; without a stride that is what torch's padding
    is."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        padding = self.padding
        if self.stride[0] > 1:
            x = pad_same(x, self.kernel_size[0], self.stride[0])
            padding = (0, 0)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


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
        rules: NetworkRules = DEFAULT_RULES,
    ) -> None:
        super().__init__()
        kind = SameConv2d if rules.padding == "same" and stride > 1 else nn.Conv2d
        self.conv = kind(in_chs, out_chs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_chs, eps=rules.bn_eps)
        self.act = activation(act) if act is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SqueezeExcite(nn.Module):
    """Channel attention: global mean, 1×1 conv, activation, 1×1 conv, gate, multiply."""

    def __init__(
        self, chs: int, reduced_chs: int, unit: SqueezeExciteStructure = DEFAULT_RULES.squeeze_excite
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(chs, reduced_chs, 1)
        self.expand = nn.Conv2d(reduced_chs, chs, 1)
        self.act = activation(unit.act)
        self.gate = gate(unit.gate)

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


class Block(nn.Module):
    """What blocks of all kinds have: a branch and, most of them, a shortcut that it is added to."""

    def make_shortcut(self, plan: BlockPlan, drop_path_rate: float) -> None:
        """Make the shortcut; after the branch, as initial weights are drawn in the order of the layers."""
        self.has_shortcut = plan.shortcut != "none"
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate and self.has_shortcut else nn.Identity()
        same_shape = plan.shortcut in ("identity", "none")
        self.shortcut = nn.Identity() if same_shape else Shortcut(plan.in_chs, plan.out_chs, plan.stride)

    def add_shortcut(self, x: Tensor, branch: Tensor) -> Tensor:
        """The block's input and the result of its branch -> their sum, or the branch alone."""
        if not self.has_shortcut:
            return branch
        return self.shortcut(x) + self.drop_path(branch)  # type: ignore[no-any-return]


class InvertedResidual(Block):
    """Inverted residual block, without an activation after its shortcut is added."""

    def __init__(
        self, plan: BlockPlan, drop_path_rate: float = 0.0, rules: NetworkRules = DEFAULT_RULES
    ) -> None:
        super().__init__()
        mid, act = plan.mid_chs, plan.act
        self.expand = ConvNormAct(plan.in_chs, mid, act=act, rules=rules) if plan.expands else nn.Identity()
        self.depthwise = ConvNormAct(
            mid, mid, plan.kernel_size, stride=plan.stride, groups=mid, act=act, rules=rules
        )
        self.se = SqueezeExcite(mid, plan.se_chs, rules.squeeze_excite) if plan.se_chs else nn.Identity()
        self.project = ConvNormAct(mid, plan.out_chs, rules=rules)
        self.make_shortcut(plan, drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.add_shortcut(x, self.project(self.se(self.depthwise(self.expand(x)))))


class FusedResidual(Block):
    """An inverted residual block with one k×k convolution for its expanding and its depthwise one."""

    def __init__(
        self, plan: BlockPlan, drop_path_rate: float = 0.0, rules: NetworkRules = DEFAULT_RULES
    ) -> None:
        super().__init__()
        mid = plan.mid_chs
        self.dense = ConvNormAct(
            plan.in_chs, mid, plan.kernel_size, stride=plan.stride, act=plan.act, rules=rules
        )
        self.se = SqueezeExcite(mid, plan.se_chs, rules.squeeze_excite) if plan.se_chs else nn.Identity()
        self.project = ConvNormAct(mid, plan.out_chs, rules=rules)
        self.make_shortcut(plan, drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.add_shortcut(x, self.project(self.se(self.dense(x))))


class PlainBlock(Block):
    """One k×k convolution. The shortcut is added before the activation, so that runtimes fuse all three."""

    def __init__(
        self, plan: BlockPlan, drop_path_rate: float = 0.0, rules: NetworkRules = DEFAULT_RULES
    ) -> None:
        super().__init__()
        self.dense = ConvNormAct(plan.in_chs, plan.out_chs, plan.kernel_size, stride=plan.stride, rules=rules)
        self.make_shortcut(plan, drop_path_rate)
        self.act = activation(plan.act)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        return self.act(self.add_shortcut(x, self.dense(x)))  # type: ignore[no-any-return]


def make_block(plan: BlockPlan, drop_path_rate: float, rules: NetworkRules) -> Block:
    """The block of a plan's kind."""
    kinds = {"inverted": InvertedResidual, "fused": FusedResidual, "plain": PlainBlock}
    return kinds[plan.kind](plan, drop_path_rate, rules)


def spatial_conv(block: Block) -> nn.Conv2d:
    """The convolution of a block that has its kernel and its stride."""
    layer = block.depthwise if isinstance(block, InvertedResidual) else block.dense
    assert isinstance(layer, ConvNormAct)
    return layer.conv


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
