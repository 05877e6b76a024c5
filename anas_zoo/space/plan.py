"""From (structure, architecture) to the exact shape of every layer: the one place with the block's rules."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.structure import Activation, Structure

DIVISOR = 8
SE_REDUCTION = 4

Shortcut = Literal["identity", "pool", "conv", "pool+conv"]


def make_divisible(value: float, divisor: int = DIVISOR) -> int:
    """``value`` rounded to a multiple of ``divisor``, never under 90 % of it (reference: MobileNet)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def conv_side(side: int, stride: int) -> int:
    """Output side of an odd-kernel convolution with padding k//2: ⌈side / stride⌉."""
    return (side + stride - 1) // stride


@dataclass(frozen=True)
class BlockPlan:
    """Shapes of one inverted residual block (all counts are channels)."""

    in_chs: int
    mid_chs: int
    out_chs: int
    kernel_size: int
    stride: int
    expands: bool  # False: ratio 1, no expanding convolution
    se_chs: int  # 0: no squeeze-and-excite
    act: Activation

    @property
    def shortcut(self) -> Shortcut:
        """What the shortcut does; every block has one."""
        if self.in_chs == self.out_chs:
            return "identity" if self.stride == 1 else "pool"
        return "conv" if self.stride == 1 else "pool+conv"


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


def plan_stage(
    *,
    in_chs: int,
    out_chs: int,
    depth: int,
    kernel_size: int,
    expand_ratio: int,
    stride: int,
    se: bool,
    act: Activation,
) -> tuple[BlockPlan, ...]:
    """The blocks of one stage.

    mid = make_divisible(round(c·e)) of the channels c that really arrive, so the first block of a
    stage expands the previous stage's width and the others their own. Ratio 1 has no expanding
    convolution, so there mid is c itself even where 8 does not divide it.
    """
    blocks = []
    for index in range(depth):
        chs = in_chs if index == 0 else out_chs
        mid = make_divisible(round(chs * expand_ratio)) if expand_ratio > 1 else chs
        blocks.append(
            BlockPlan(
                in_chs=chs,
                mid_chs=mid,
                out_chs=out_chs,
                kernel_size=kernel_size,
                stride=stride if index == 0 else 1,
                expands=expand_ratio > 1,
                se_chs=make_divisible(mid // SE_REDUCTION) if se else 0,
                act=act,
            )
        )
    return tuple(blocks)


@functools.lru_cache(maxsize=4096)
def plan_network(structure: Structure, arch: Architecture) -> NetworkPlan:
    """The plan of ``arch`` within ``structure``; the caller has validated the architecture."""
    stages = []
    chs = arch.width[0]
    for index, stage in enumerate(structure.stages):
        out_chs = arch.width[index + 1]
        stages.append(
            plan_stage(
                in_chs=chs,
                out_chs=out_chs,
                depth=arch.depth[index],
                kernel_size=arch.kernel_size[index],
                expand_ratio=arch.expand_ratio[index],
                stride=stage.stride,
                se=stage.se,
                act=stage.act,
            )
        )
        chs = out_chs
    return NetworkPlan(
        stem_chs=arch.width[0],
        stages=tuple(stages),
        head_mid_chs=chs * structure.head.expand_ratio,
        head_chs=arch.width[-1],
        structure=structure,
    )
