"""Exact multiply-adds and parameters of many architectures at once, from small tables; no network is built.

The cost of a stage depends on a handful of choices only (input width, width, depth, kernel size, expand
ratio and, for multiply-adds, resolution). All combinations of one stage fit a table of at most a few
hundred integers, so the cost of an architecture is one look-up per stage and a sum.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig, StageConfig
from anas_zoo.space.genes import GeneTable
from anas_zoo.space.plan import BlockPlan, NetworkPlan, conv_side, plan_network, plan_stage
from anas_zoo.space.structure import Structure

__all__ = ["CostTables", "block_cost", "count_by_walking", "head_cost", "norm_channels", "stem_cost"]

Int64s = npt.NDArray[np.int64]

FLOAT32_BYTES = 4
IN_CHANS = 3  # networks read RGB; every published count does
CHUNK = 8192  # rows per pass: the 31 columns of a chunk stay in the second-level cache


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


class CostTables:
    """Look-up tables of one space; see the module's docstring."""

    def __init__(self, config: SpaceConfig, genes: GeneTable) -> None:
        self._genes = genes
        n = len(config.stages)
        widths, depths = 1, 1 + n + 2
        kernels, ratios = depths + n, depths + 2 * n
        # Which genes select a row of each table; resolution (gene 0) is the last axis everywhere.
        self._keys: list[tuple[int, ...]] = [(widths, 0)]
        self._keys += [(widths + i, widths + i + 1, depths + i, kernels + i, ratios + i, 0) for i in range(n)]
        self._keys += [(widths + n, widths + n + 1, 0)]
        self._head_width = np.asarray(config.head.width, dtype=np.int64)
        self._head_gene = widths + n + 1

        sides = [conv_side(r, config.stem.stride) for r in config.resolution]
        stem = [[(*stem_cost(w, config.stem.kernel_size, s), w) for s in sides] for w in config.stem.width]
        tables = [np.array(stem, dtype=np.int64)]
        in_widths = config.stem.width
        for stage in config.stages:
            tables.append(_stage_table(stage, in_widths, sides))
            in_widths = stage.width
            sides = [conv_side(s, stage.stride) for s in sides]
        ratio = config.head.expand_ratio
        head = [
            [[(*head_cost(c, c * ratio, w, s), c * ratio) for s in sides] for w in config.head.width]
            for c in in_widths
        ]
        tables.append(np.array(head, dtype=np.int64))
        self._strides = [
            [int(np.prod(table.shape[axis + 1 : -1])) for axis in range(table.ndim - 1)] for table in tables
        ]
        self._macs = [np.ascontiguousarray(table[..., 0]).ravel() for table in tables]
        self._params = [np.ascontiguousarray(table[..., 1]).ravel() for table in tables]
        self._folded = [np.ascontiguousarray(table[..., 1] - table[..., 2]).ravel() for table in tables]

    def macs(self, codes: Int64s, num_classes: int) -> Int64s:
        """Multiply-adds of each row of ``codes``, classifier included."""
        return self._sum(codes, self._macs, self._head_width * num_classes)

    def params(self, codes: Int64s, num_classes: int) -> Int64s:
        """Parameters of each row of ``codes``, classifier included."""
        return self._sum(codes, self._params, (self._head_width + 1) * num_classes)

    def size_bytes(self, codes: Int64s, num_classes: int) -> Int64s:
        """Bytes of each row's float32 weights with batch norm folded, classifier included."""
        return FLOAT32_BYTES * self._sum(codes, self._folded, (self._head_width + 1) * num_classes)

    def _sum(self, codes: Int64s, tables: list[Int64s], classifier: Int64s) -> Int64s:
        total = np.empty(len(codes), dtype=np.int64)
        for start in range(0, len(codes), CHUNK):
            columns = np.ascontiguousarray(codes[start : start + CHUNK].T)
            index = [self._genes.index(gene, column) for gene, column in enumerate(columns)]
            part = classifier[index[self._head_gene]]
            for table, keys, strides in zip(tables, self._keys, self._strides, strict=True):
                row = index[keys[-1]].copy()
                for gene, stride in zip(keys[:-1], strides[:-1], strict=True):
                    row += index[gene] * stride
                part = part + table[row]
            total[start : start + CHUNK] = part
        return total


def _stage_table(stage: StageConfig, in_widths: tuple[int, ...], sides: list[int]) -> Int64s:
    """[in width, width, depth, kernel size, expand ratio, resolution, (macs, params, norm channels)]."""
    axes = (in_widths, stage.width, stage.depth, stage.kernel_size, stage.expand_ratio, sides)
    table = np.zeros((*map(len, axes), 3), dtype=np.int64)
    for at in itertools.product(*(range(len(axis)) for axis in axes)):
        in_chs, out_chs, depth, kernel_size, ratio, side = (axis[i] for axis, i in zip(axes, at, strict=True))
        blocks = plan_stage(
            in_chs=in_chs,
            out_chs=out_chs,
            depth=depth,
            kernel_size=kernel_size,
            expand_ratio=ratio,
            stride=stage.stride,
            se=stage.se,
            act=stage.act,
        )
        for block in blocks:
            table[at] += (*block_cost(block, side), norm_channels(block))
            side = conv_side(side, block.stride)
    return table
