"""Exact multiply-adds and parameters: of one part, of one network, and of many architectures at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.genes import GeneTable
from anas_zoo.space.plan import BlockPlan, NetworkPlan, conv_side, plan_network
from anas_zoo.space.structure import Structure
from anas_zoo.space.tables import PartTables

__all__ = [
    "CostTables",
    "block_cost",
    "count_by_walking",
    "head_cost",
    "norm_channels",
    "params_as_authors_count",
    "stem_cost",
]

Int64s = npt.NDArray[np.int64]

FLOAT32_BYTES = 4
IN_CHANS = 3  # networks read RGB; every published count does


def stem_cost(out_chs: int, kernel_size: int, side: int) -> tuple[int, int]:
    """(multiply-adds, parameters) of the first convolution whose output has ``side``."""
    weights = IN_CHANS * out_chs * kernel_size**2
    return weights * side**2, weights + 2 * out_chs


def block_cost(block: BlockPlan, in_side: int) -> tuple[int, int]:
    """(multiply-adds, parameters) of one block on an ``in_side`` × ``in_side`` input."""
    out_side = conv_side(in_side, block.stride)
    expand = block.in_chs * block.mid_chs if block.expands else 0
    depthwise = block.mid_chs * block.kernel_size**2
    project = block.mid_chs * block.out_chs
    se = 2 * block.mid_chs * block.se_chs
    shortcut = block.in_chs * block.out_chs if "conv" in block.shortcut else 0
    macs = expand * in_side**2 + (depthwise + project + shortcut) * out_side**2 + se
    biases = block.se_chs + block.mid_chs if block.se_chs else 0
    return macs, expand + depthwise + project + shortcut + se + 2 * norm_channels(block) + biases


def norm_channels(block: BlockPlan) -> int:
    """Channels of all batch norms of one block; folding replaces each one's scale and shift by a bias."""
    return block.mid_chs * (1 + block.expands) + block.out_chs


def head_cost(in_chs: int, mid_chs: int, out_chs: int, side: int) -> tuple[int, int]:
    """(multiply-adds, parameters) of the head without its classifier."""
    return in_chs * mid_chs * side**2 + mid_chs * out_chs, (in_chs + 2) * mid_chs + mid_chs * out_chs


def count_by_walking(structure: Structure, arch: Architecture, num_classes: int) -> tuple[int, int]:
    """(multiply-adds, parameters) of one architecture, block by block: slow and plain.

    For an architecture of no known space (an entry's own structure), and as the check of the tables.
    """
    plan: NetworkPlan = plan_network(structure, arch)
    side = conv_side(arch.resolution, structure.stem.stride)
    totals = [stem_cost(plan.stem_chs, structure.stem.kernel_size, side)]
    for block in plan.blocks():
        totals.append(block_cost(block, side))
        side = conv_side(side, block.stride)
    last_chs = plan.stages[-1][-1].out_chs
    totals.append(head_cost(last_chs, plan.head_mid_chs, plan.head_chs, side))
    macs = sum(macs for macs, _ in totals) + plan.head_chs * num_classes
    return macs, sum(params for _, params in totals) + (plan.head_chs + 1) * num_classes


def params_as_authors_count(structure: Structure, arch: Architecture, num_classes: int) -> int:
    """The parameters that the AttentiveNAS authors report for an architecture.

    Their extraction gives every block a 1×1 shortcut convolution, used or not. Where the shortcut is the
    identity or a pool alone it is dead weight of in_chs · out_chs, which the live count leaves out.
    """
    _, live = count_by_walking(structure, arch, num_classes)
    blocks = plan_network(structure, arch).blocks()
    return live + sum(block.in_chs * block.out_chs for block in blocks if "conv" not in block.shortcut)


class CostTables:
    """The costs of one space, looked up: multiply-adds, parameters, and those that folding leaves."""

    def __init__(self, config: SpaceConfig, genes: GeneTable) -> None:
        self._tables = PartTables(config, genes, stem=_stem_costs, block=_block_costs, head=_head_costs)
        self._head_width = np.asarray(config.head.width, dtype=np.int64)

    def macs(self, codes: Int64s, num_classes: int) -> Int64s:
        """Multiply-adds of each row of ``codes``, classifier included."""
        return self._tables.sum(codes, 0, self._head_width * num_classes)

    def params(self, codes: Int64s, num_classes: int) -> Int64s:
        """Parameters of each row of ``codes``, classifier included."""
        return self._tables.sum(codes, 1, (self._head_width + 1) * num_classes)

    def size_bytes(self, codes: Int64s, num_classes: int) -> Int64s:
        """Bytes of each row's float32 weights with batch norm folded, classifier included."""
        return FLOAT32_BYTES * self._tables.sum(codes, 2, (self._head_width + 1) * num_classes)


def _stem_costs(out_chs: int, kernel_size: int, side: int) -> tuple[int, int, int]:
    macs, params = stem_cost(out_chs, kernel_size, side)
    return macs, params, params - out_chs


def _block_costs(block: BlockPlan, in_side: int) -> tuple[int, int, int]:
    macs, params = block_cost(block, in_side)
    return macs, params, params - norm_channels(block)


def _head_costs(in_chs: int, mid_chs: int, out_chs: int, side: int) -> tuple[int, int, int]:
    macs, params = head_cost(in_chs, mid_chs, out_chs, side)
    return macs, params, params - mid_chs
