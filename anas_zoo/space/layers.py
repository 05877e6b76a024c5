"""Every convolution and linear layer of a network, one by one: what all costs are sums over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.plan import BlockPlan, conv_side, plan_network
from anas_zoo.space.structure import HeadStructure, StemStructure, Structure

IN_CHANS = 3  # networks read RGB; every published count does

# "pooled" is a kind that only a file's graph may have: an average pool and the 1×1 convolution behind it,
# merged into one convolution whose kernel is as large as its stride. "dense" is any further convolution: k×k
# over all channels.
LayerKind = Literal["stem", "depthwise", "pointwise", "linear", "pooled", "dense"]
LAYER_KINDS: tuple[LayerKind, ...] = get_args(LayerKind)

Role = Literal[
    "stem",
    "expand",
    "depthwise",
    "dense",
    "squeeze",
    "excite",
    "project",
    "shortcut",
    "head",
    "mix",
    "classifier",
]


def layer_kind(
    *, kernel_size: int, groups: int, side: int, stride: int = 1, first: bool = False
) -> LayerKind:
    """The kind of a convolution, or of a linear layer (kernel 1, output side 1), by its shape alone."""
    if first:
        return "stem"
    if groups > 1:
        return "depthwise"
    if kernel_size > 1:
        return "pooled" if kernel_size == stride else "dense"
    return "pointwise" if side > 1 else "linear"


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer with a square output of ``side`` pixels and a square kernel.

    ``norm``: whether a batch norm follows, which folding turns into a bias.
    """

    role: Role
    in_chs: int
    out_chs: int
    side: int
    kernel_size: int = 1
    groups: int = 1
    bias: bool = False
    norm: bool = False

    @property
    def weights(self) -> int:
        """Elements of its weight."""
        return self.in_chs // self.groups * self.out_chs * self.kernel_size**2

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return self.weights * self.side**2

    @property
    def outputs(self) -> int:
        """Elements of its output for one image."""
        return self.out_chs * self.side**2

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
        """See :func:`layer_kind`; no layer's kernel is as large as its stride."""
        first = self.role == "stem"
        return layer_kind(kernel_size=self.kernel_size, groups=self.groups, side=self.side, first=first)


def stem_layers(stem: StemStructure, out_chs: int, side: int) -> tuple[Layer, ...]:
    """The first convolution, whose output has ``side``."""
    return (Layer("stem", IN_CHANS, out_chs, side, stem.kernel_size, norm=True),)


def block_layers(block: BlockPlan, in_side: int) -> tuple[Layer, ...]:
    """The layers of one block on an ``in_side`` × ``in_side`` input."""
    side, mid = conv_side(in_side, block.stride), block.mid_chs
    if block.kind == "inverted":
        layers = [Layer("depthwise", mid, mid, side, block.kernel_size, groups=mid, norm=True)]
        if block.expands:
            layers.insert(0, Layer("expand", block.in_chs, mid, in_side, norm=True))
    else:
        layers = [Layer("dense", block.in_chs, mid, side, block.kernel_size, norm=True)]
    if block.se_chs:
        layers.append(Layer("squeeze", mid, block.se_chs, 1, bias=True))
        layers.append(Layer("excite", block.se_chs, mid, 1, bias=True))
    if block.kind != "plain":
        layers.append(Layer("project", mid, block.out_chs, side, norm=True))
    if "conv" in block.shortcut:
        layers.append(Layer("shortcut", block.in_chs, block.out_chs, side))
    return tuple(layers)


def head_layers(head: HeadStructure, in_chs: int, out_chs: int, side: int) -> tuple[Layer, ...]:
    """The head on a ``side`` × ``side`` input, without the classifier."""
    if head.kind == "pool":
        return ()
    mid_chs = head.mid_chs(in_chs, out_chs)
    conv = Layer("head", in_chs, mid_chs, side, norm=True)
    if head.kind == "conv_pool":
        return (conv,)
    return (conv, Layer("mix", mid_chs, out_chs, 1, bias=head.mix_bias))


def classifier_layer(in_chs: int, num_classes: int) -> Layer:
    """The last layer."""
    return Layer("classifier", in_chs, num_classes, 1, bias=True)


def network_layers(structure: Structure, arch: Architecture, num_classes: int) -> tuple[Layer, ...]:
    """The layers of one network from input to output."""
    plan = plan_network(structure, arch)
    side = conv_side(arch.resolution, structure.stem.stride)
    layers = list(stem_layers(structure.stem, plan.stem_chs, side))
    for block in plan.blocks():
        layers += block_layers(block, side)
        side = conv_side(side, block.stride)
    layers += head_layers(structure.head, plan.stages[-1][-1].out_chs, plan.head_chs, side)
    return (*layers, classifier_layer(plan.head_chs, num_classes))


def macs_by_kind(layers: Iterable[Layer]) -> dict[LayerKind, int]:
    """Multiply-adds of each kind of layer that there is, in the order of :data:`LAYER_KINDS`."""
    sums: Counter[LayerKind] = Counter()
    for layer in layers:
        sums[layer.kind] += layer.macs
    return {kind: sums[kind] for kind in LAYER_KINDS if kind in sums}
