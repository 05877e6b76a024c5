"""From (structure, architecture) to the exact shape of every layer: the one place with the block's rules."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from anas_zoo.space.architecture import Architecture, of_blocks
from anas_zoo.space.structure import (
    Activation,
    BlockKind,
    NetworkRules,
    StageStructure,
    Structure,
)

DIVISOR = 8

Shortcut = Literal["identity", "pool", "conv", "pool+conv", "none"]


def make_divisible(value: float, divisor: int = DIVISOR) -> int:
    """``value`` rounded to a multiple of ``divisor``, never under 90 % of it (reference: MobileNet)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def conv_side(side: int, stride: int) -> int:
    """Output side of an odd-kernel convolution, padded either way: ⌈side / stride⌉."""
    return (side + stride - 1) // stride


def same_padding(side: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Pixels before and after for an output of ⌈side / stride⌉, the odd one after (TensorFlow's "same")."""
    total = max((conv_side(side, stride) - 1) * stride + kernel_size - side, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class BlockPlan:
    """Shapes of one block (all counts are channels)."""

    kind: BlockKind
    in_chs: int
    mid_chs: int  # before the projection; of a plain block, which has none, its outputs
    out_chs: int
    kernel_size: int
    stride: int
    expands: bool  # False of an inverted block: depthwise-separable, no expanding convolution
    se_chs: int  # 0: no squeeze-and-excite
    act: Activation
    shortcut: Shortcut


@dataclass(frozen=True)
class NetworkPlan:
    """Shapes of a whole network."""

    stem_chs: int
    stages: tuple[tuple[BlockPlan, ...], ...]
    head_mid_chs: int
    head_chs: int
    structure: Structure

    def blocks(self) -> Iterator[BlockPlan]:
        """All blocks from input to output."""
        for stage in self.stages:
            yield from stage


def plan_block(
    rules: NetworkRules,
    stage: StageStructure,
    index: int,
    *,
    in_chs: int,
    out_chs: int,
    kernel_size: int,
    expand_ratio: float,
) -> BlockPlan:
    """The block of that index in a stage, whose input really has ``in_chs`` channels.

    mid = make_divisible(round(c·e)) of them, so the first block of a stage expands the previous stage's width
    and the others their own. Without an expanding convolution mid is c itself even where 8 does not divide
    it.
    """
    plain = stage.block == "plain"
    expands = not plain and (stage.block == "fused" or stage.always_expands or expand_ratio > 1)
    mid = make_divisible(round(in_chs * expand_ratio)) if expands else out_chs if plain else in_chs
    se_chs, unit = 0, rules.squeeze_excite
    if stage.se_of(index):
        se_chs = make_divisible((mid if unit.base == "mid" else in_chs) // unit.reduction, unit.divisor)
    stride = stage.stride if index == 0 else 1
    return BlockPlan(
        kind=stage.block,
        in_chs=in_chs,
        mid_chs=mid,
        out_chs=out_chs,
        kernel_size=kernel_size,
        stride=stride,
        expands=expands,
        se_chs=se_chs,
        act=stage.act,
        shortcut=_shortcut(rules, stride, widens=in_chs != out_chs),
    )


def _shortcut(rules: NetworkRules, stride: int, *, widens: bool) -> Shortcut:
    if stride == 1 and not widens:
        return "identity"
    if rules.shortcut == "identity":
        return "none"
    if not widens:
        return "pool"
    return "conv" if stride == 1 else "pool+conv"


def plan_stage(
    rules: NetworkRules,
    stage: StageStructure,
    *,
    in_chs: int,
    out_chs: int,
    kernel_sizes: tuple[int, ...],
    expand_ratios: tuple[float, ...],
) -> tuple[BlockPlan, ...]:
    """The blocks of one stage, as many as there are kernel sizes and expand ratios."""
    return tuple(
        plan_block(
            rules,
            stage,
            index,
            in_chs=in_chs if index == 0 else out_chs,
            out_chs=out_chs,
            kernel_size=kernel_size,
            expand_ratio=ratio,
        )
        for index, (kernel_size, ratio) in enumerate(zip(kernel_sizes, expand_ratios, strict=True))
    )


@functools.lru_cache(maxsize=4096)
def plan_network(structure: Structure, arch: Architecture) -> NetworkPlan:
    """The plan of ``arch`` within ``structure``; the caller has validated the architecture."""
    stages = []
    chs = arch.width[0]
    for index, stage in enumerate(structure.stages):
        out_chs, depth = arch.width[index + 1], arch.depth[index]
        stages.append(
            plan_stage(
                structure,
                stage,
                in_chs=chs,
                out_chs=out_chs,
                kernel_sizes=of_blocks(arch.kernel_size[index], depth),
                expand_ratios=of_blocks(arch.expand_ratio[index], depth),
            )
        )
        chs = out_chs
    return NetworkPlan(
        stem_chs=arch.width[0],
        stages=tuple(stages),
        head_mid_chs=structure.head.mid_chs(chs, arch.width[-1]),
        head_chs=arch.width[-1],
        structure=structure,
    )
