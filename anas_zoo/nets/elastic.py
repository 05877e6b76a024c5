"""Elastic layers: full-size weights, used through slices that the caller names. No layer keeps a choice.

Sharing rule (AttentiveNAS' supernet): a smaller tensor is the leading slice of the largest one in both
channel axes, and a smaller k×k kernel is the centre of the largest one. In a space with kernel
transform (once-for-all, arXiv:1908.09791) it is the centre of the next larger one times a learned matrix.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anas_zoo.nets.blocks import pad_same, pool_shortcut
from anas_zoo.space import BlockPlan
from anas_zoo.space.structure import Activation, Gate, NetworkRules, Padding, SqueezeExciteStructure


def leading_slice(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The part of ``weight`` that a layer of ``shape`` uses: a view, leading channels, centred kernel."""
    view = weight
    for axis, size in enumerate(shape):
        full = view.shape[axis]
        if size != full:
            view = view.narrow(axis, (full - size) // 2 if axis >= 2 else 0, size)
    return view


def activate(x: Tensor, act: Activation) -> Tensor:
    """Apply the activation of that name in place where autograd allows it."""
    functions = {"silu": F.silu, "relu": F.relu, "relu6": F.relu6, "hard_swish": F.hardswish}
    return functions[act](x, inplace=True)


def apply_gate(x: Tensor, gate: Gate) -> Tensor:
    """Apply the gate of a squeeze-and-excite."""
    return F.hardsigmoid(x) if gate == "hard_sigmoid" else torch.sigmoid(x)


class ElasticConv(nn.Conv2d):
    """A convolution whose channels and kernel are slices of the largest one's.

    Attributes:
        transform: matrices (k², k²) by which the centre of a kernel becomes the next smaller kernel, called
            "7to5"; none where the centre is taken as it is.
    """

    def __init__(
        self, in_chs: int, out_chs: int, kernel_size: int, *, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(in_chs, out_chs, kernel_size, groups=groups, bias=bias)
        self.transform: nn.ParameterDict | None = None

    def make_transform(self, kernel_sizes: tuple[int, ...]) -> None:
        """Learn matrices between ``kernel_sizes``, ascending up to the layer's own; all begin as identity."""
        if len(kernel_sizes) > 1:
            steps = list(itertools.pairwise(kernel_sizes[::-1]))
            # As pairs, which stay in this order: the items of a dict are sorted.
            self.transform = nn.ParameterDict([(f"{a}to{b}", torch.eye(b * b)) for a, b in steps])

    def kernels(self, shape: tuple[int, ...]) -> Tensor:
        """The weight that a convolution of ``shape`` has in this one."""
        if self.transform is None:
            return leading_slice(self.weight, shape)
        weight = self.weight[: shape[0], : shape[1]]
        for name, matrix in self.transform.items():
            if weight.shape[-1] == shape[-1]:
                break
            size = int(name.partition("to")[2])
            centre = leading_slice(weight, (*weight.shape[:2], size, size))
            weight = F.linear(centre.flatten(2), matrix).view_as(centre)
        return weight

    def forward_slice(
        self,
        x: Tensor,
        out_chs: int,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        padding: Padding = "symmetric",
    ) -> Tensor:
        """(N, c, H, W) with any c up to the largest -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        in_chs = 1 if self.groups > 1 else x.shape[1]
        weight = self.kernels((out_chs, in_chs, kernel_size, kernel_size))
        bias = None if self.bias is None else self.bias[:out_chs]
        groups = out_chs if self.groups > 1 else 1
        if padding == "same" and stride > 1:
            return F.conv2d(pad_same(x, kernel_size, stride), weight, bias, stride, 0, groups=groups)
        return F.conv2d(x, weight, bias, stride, kernel_size // 2, groups=groups)


class ElasticBatchNorm(nn.BatchNorm2d):
    """Batch norm on the leading channels, always by batch statistics; running ones are never touched.

    ``mean_over_processes`` (a differentiable mean of a tensor over the processes that train together) makes
    the statistics those of all their images; without it each process normalises its own.
    """

    mean_over_processes: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, c, H, W) -> the same shape, for any c up to the largest."""
        chs = x.shape[1]
        weight, bias = self.weight[:chs], self.bias[:chs]
        if self.mean_over_processes is None:
            return F.batch_norm(x, None, None, weight, bias, training=True, eps=self.eps)
        values = x.float()
        variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        center = self.mean_over_processes(mean)
        # Two small exchanges: a difference of large squares would lose the digits of the variance.
        spread = self.mean_over_processes(variance + (mean - center) ** 2)
        scale = weight * torch.rsqrt(spread + self.eps)
        shift = bias - center * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class ElasticConvNorm(nn.Module):
    """Elastic convolution without bias, then elastic batch norm."""

    def __init__(
        self, rules: NetworkRules, in_chs: int, out_chs: int, kernel_size: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = ElasticConv(in_chs, out_chs, kernel_size, groups=groups, bias=False)
        self.bn = ElasticBatchNorm(out_chs, eps=rules.bn_eps)
        self._padding = rules.padding

    def forward(self, x: Tensor, out_chs: int, kernel_size: int = 1, stride: int = 1) -> Tensor:
        """(N, c, H, W) -> (N, out_chs, ⌈H/stride⌉, ⌈W/stride⌉)."""
        x = self.conv.forward_slice(x, out_chs, kernel_size=kernel_size, stride=stride, padding=self._padding)
        return self.bn(x)  # type: ignore[no-any-return]


class ElasticSqueezeExcite(nn.Module):
    """Squeeze-and-excite with sliced reduction and expansion."""

    def __init__(self, unit: SqueezeExciteStructure, chs: int, reduced_chs: int) -> None:
        super().__init__()
        self.reduce = ElasticConv(chs, reduced_chs, 1)
        self.expand = ElasticConv(reduced_chs, chs, 1)
        self._unit = unit

    def forward(self, x: Tensor, reduced_chs: int) -> Tensor:
        """(N, C, H, W) -> the same shape, each channel scaled by its gate."""
        weight = self.reduce.forward_slice(F.adaptive_avg_pool2d(x, 1), reduced_chs)
        weight = self.expand.forward_slice(activate(weight, self._unit.act), x.shape[1])
        return x * apply_gate(weight, self._unit.gate)


class ElasticShortcut(nn.Module):
    """The projection of a shortcut, used only where an architecture changes the width."""

    def __init__(self, in_chs: int, out_chs: int) -> None:
        super().__init__()
        self.conv = ElasticConv(in_chs, out_chs, 1, bias=False)

    def forward(self, x: Tensor, out_chs: int) -> Tensor:
        """(N, c, H, W) -> (N, out_chs, H, W)."""
        return self.conv.forward_slice(x, out_chs)


class ElasticBlock(nn.Module):
    """A block that holds the weights of every block plan at its place; all of them are of one kind.

    ``largest`` has the most channels of every part; ``projects_shortcut``: some architecture's shortcut
    changes the width here; ``transformed``: the kernel sizes between which the k×k layer learns a transform.
    """

    def __init__(
        self,
        rules: NetworkRules,
        largest: BlockPlan,
        *,
        projects_shortcut: bool,
        transformed: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        mid = largest.mid_chs
        self.expand: ElasticConvNorm | None = None
        if largest.kind == "inverted":
            if largest.expands:
                self.expand = ElasticConvNorm(rules, largest.in_chs, mid)
            spatial = self.depthwise = ElasticConvNorm(rules, mid, mid, largest.kernel_size, groups=mid)
        else:
            spatial = self.dense = ElasticConvNorm(rules, largest.in_chs, mid, largest.kernel_size)
        spatial.conv.make_transform(transformed)
        self.se = ElasticSqueezeExcite(rules.squeeze_excite, mid, largest.se_chs) if largest.se_chs else None
        self.project = None if largest.kind == "plain" else ElasticConvNorm(rules, mid, largest.out_chs)
        self.shortcut = ElasticShortcut(largest.in_chs, largest.out_chs) if projects_shortcut else None

    def forward(self, x: Tensor, plan: BlockPlan, keep: Tensor | None = None) -> Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ...); ``keep`` (N, 1, 1, 1) scales the branch (drop-connect)."""
        branch = x
        if self.expand is not None:
            branch = activate(self.expand(branch, plan.mid_chs), plan.act)
        spatial = self.depthwise if plan.kind == "inverted" else self.dense
        branch = spatial(branch, plan.mid_chs, plan.kernel_size, plan.stride)
        if self.project is None:  # plain: activated behind the shortcut
            return activate(self._add_shortcut(x, branch, plan, keep), plan.act)
        branch = activate(branch, plan.act)
        if self.se is not None:
            branch = self.se(branch, plan.se_chs)
        branch = self.project(branch, plan.out_chs)
        return self._add_shortcut(x, branch, plan, keep)

    def _add_shortcut(self, x: Tensor, branch: Tensor, plan: BlockPlan, keep: Tensor | None) -> Tensor:
        if plan.shortcut == "none":
            return branch
        if keep is not None:
            branch = branch * keep
        if plan.stride > 1:
            x = pool_shortcut(x, plan.stride)
        if plan.in_chs != plan.out_chs:
            if self.shortcut is None:
                raise RuntimeError("block has no shortcut projection for this plan")
            x = self.shortcut(x, plan.out_chs)
        return x + branch


def random_keep(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Drop-connect's per-image factor: 0 with probability ``rate``, else 1 / (1 − rate); (N, 1, 1, 1)."""
    uniform = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device)
    return (uniform >= rate).to(x.dtype) / (1.0 - rate)
