"""Every layer of a network that has multiply-adds, one by one: what other counts are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.cost import IN_CHANS
from anas_zoo.space.plan import BlockPlan, conv_side, plan_network
from anas_zoo.space.structure import Structure

__all__ = ["LAYER_KINDS", "Layer", "LayerKind", "layer_kind", "macs_by_kind", "network_layers"]

# "pooled" is what a file's graph may have and the paper's count never: an average pool and the 1×1
# convolution behind it, made one convolution whose kernel is as large as its stride. "other" is neither's.
LayerKind = Literal["stem", "depthwise", "pointwise", "linear", "pooled", "other"]
LAYER_KINDS: tuple[LayerKind, ...] = get_args(LayerKind)


def layer_kind(
    *, kernel_size: int, groups: int, side: int, stride: int = 1, first: bool = False
) -> LayerKind:
    """The kind of a convolution, or of a linear layer (kernel 1, output side 1), by its shape alone."""
    if first:
        return "stem"
    if groups > 1:
        return "depthwise"
    if kernel_size > 1:
        return "pooled" if kernel_size == stride else "other"
    return "pointwise" if side > 1 else "linear"


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer; ``side`` is that of its square output in pixels."""

    in_chs: int
    out_chs: int
    side: int
    kernel_size: int = 1
    groups: int = 1
    bias: bool = False
    norm: bool = False  # a batch norm behind it, which folding makes a bias
    first: bool = False

    @property
    def weights(self) -> int:
        """Elements of its weight."""
        return self.in_chs // self.groups * self.out_chs * self.kernel_size**2

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.weights * self.side**2

    @property
    def params(self) -> int:
        """Parameters, those of its batch norm included."""
        return self.weights + self.out_chs * (self.bias + 2 * self.norm)

    @property
    def folded_params(self) -> int:
        """Parameters after its batch norm is folded into it."""
        return self.weights + self.out_chs * (self.bias or self.norm)

    @property
    def kind(self) -> LayerKind:
        """See :func:`layer_kind`."""
        return layer_kind(
            kernel_size=self.kernel_size, groups=self.groups, side=self.side, first=self.first
        )  # no layer of a plan but the first and the depthwise ones has both a kernel and a stride


def network_layers(structure: Structure, arch: Architecture, num_classes: int) -> tuple[Layer, ...]:
    """The layers from input to output; they sum to what :func:`anas_zoo.space.count_by_walking` counts."""
    plan = plan_network(structure, arch)
    side = conv_side(arch.resolution, structure.stem.stride)
    layers = [Layer(IN_CHANS, plan.stem_chs, side, structure.stem.kernel_size, norm=True, first=True)]
    for block in plan.blocks():
        layers += _block_layers(block, side)
        side = conv_side(side, block.stride)
    layers += [
        Layer(plan.stages[-1][-1].out_chs, plan.head_mid_chs, side, norm=True),
        Layer(plan.head_mid_chs, plan.head_chs, 1),
        Layer(plan.head_chs, num_classes, 1, bias=True),
    ]
    return tuple(layers)


def _block_layers(block: BlockPlan, in_side: int) -> Iterator[Layer]:
    side, mid = conv_side(in_side, block.stride), block.mid_chs
    if block.expands:
        yield Layer(block.in_chs, mid, in_side, norm=True)
    yield Layer(mid, mid, side, block.kernel_size, groups=mid, norm=True)
    if block.se_chs:
        yield Layer(mid, block.se_chs, 1, bias=True)
        yield Layer(block.se_chs, mid, 1, bias=True)
    yield Layer(mid, block.out_chs, side, norm=True)
    if "conv" in block.shortcut:
        yield Layer(block.in_chs, block.out_chs, side)


def macs_by_kind(layers: tuple[Layer, ...]) -> dict[LayerKind, int]:
    """Multiply-adds of each kind of layer that there is, in the order of :data:`LAYER_KINDS`."""
    sums: Counter[LayerKind] = Counter()
    for layer in layers:
        sums[layer.kind] += layer.macs
    return {kind: sums[kind] for kind in LAYER_KINDS if kind in sums}
