"""Sums over the parts of many networks at once, from small tables; no network is built.

What a stage adds to a sum depends on a handful of choices only (input width, width, depth, kernel size,
expand ratio and resolution). All combinations of one stage fit a table of at most a few hundred numbers, so
the sum of an architecture is one look-up per part and an addition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.space.config import SpaceConfig, StageConfig
from anas_zoo.space.genes import GeneTable
from anas_zoo.space.plan import BlockPlan, conv_side, plan_stage

__all__ = ["PartTables"]

CHUNK = 8192  # rows per pass: the 31 columns of a chunk stay in the second-level cache

Row = Sequence[float]  # what a part adds to each of the summed quantities
BlockRow = Callable[[BlockPlan, int], Row]


class PartTables:
    """Look-up tables of one space; see the module's docstring.

    Args:
        config: the space.
        genes: its genes.
        stem: (channels, kernel size, output side) -> what the stem adds to each quantity.
        block: (plan of a block, input side) -> what the block adds.
        head: (input channels, expanded channels, output channels, side) -> what the head adds.
        dtype: of the sums; whole numbers stay exact.
    """

    def __init__(
        self,
        config: SpaceConfig,
        genes: GeneTable,
        *,
        stem: Callable[[int, int, int], Row],
        block: BlockRow,
        head: Callable[[int, int, int, int], Row],
        dtype: npt.DTypeLike = np.int64,
    ) -> None:
        self._genes = genes
        n = len(config.stages)
        widths, depths = 1, 1 + n + 2
        kernels, ratios = depths + n, depths + 2 * n
        # Which genes select a row of each table; resolution (gene 0) is the last axis everywhere.
        self._keys: list[tuple[int, ...]] = [(widths, 0)]
        self._keys += [(widths + i, widths + i + 1, depths + i, kernels + i, ratios + i, 0) for i in range(n)]
        self._keys += [(widths + n, widths + n + 1, 0)]
        self._head_gene = widths + n + 1

        sides = [conv_side(r, config.stem.stride) for r in config.resolution]
        rows = [[stem(w, config.stem.kernel_size, s) for s in sides] for w in config.stem.width]
        tables = [np.array(rows, dtype=dtype)]
        in_widths = config.stem.width
        for stage in config.stages:
            tables.append(_stage_table(stage, in_widths, sides, block, dtype))
            in_widths = stage.width
            sides = [conv_side(s, stage.stride) for s in sides]
        ratio = config.head.expand_ratio
        last = [[[head(c, c * ratio, w, s) for s in sides] for w in config.head.width] for c in in_widths]
        tables.append(np.array(last, dtype=dtype))
        self._strides = [
            [int(np.prod(table.shape[axis + 1 : -1])) for axis in range(table.ndim - 1)] for table in tables
        ]
        quantities = tables[0].shape[-1]
        self._tables = [
            [np.ascontiguousarray(table[..., quantity]).ravel() for table in tables]
            for quantity in range(quantities)
        ]

    def sum(
        self, codes: npt.NDArray[np.int64], quantity: int, by_head_width: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """The ``quantity``-th number summed over all parts of each row of ``codes``, (N,).

        ``by_head_width`` is what is added for each choice of the head's width (the classifier).
        Raises :class:`SpaceError` for a value outside the space.
        """
        tables = self._tables[quantity]
        total = np.empty(len(codes), dtype=tables[0].dtype)
        for start in range(0, len(codes), CHUNK):
            columns = np.ascontiguousarray(codes[start : start + CHUNK].T)
            index = [self._genes.index(gene, column) for gene, column in enumerate(columns)]
            part = by_head_width[index[self._head_gene]]
            for table, keys, strides in zip(tables, self._keys, self._strides, strict=True):
                row = index[keys[-1]].copy()
                for gene, stride in zip(keys[:-1], strides[:-1], strict=True):
                    row += index[gene] * stride
                part = part + table[row]
            total[start : start + CHUNK] = part
        return total


def _stage_table(
    stage: StageConfig, in_widths: tuple[int, ...], sides: list[int], block: BlockRow, dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """[in width, width, depth, kernel size, expand ratio, resolution, quantity] of one stage."""
    axes = (in_widths, stage.width, stage.depth, stage.kernel_size, stage.expand_ratio, sides)
    rows = []
    for in_chs, out_chs, depth, kernel_size, ratio, side in itertools.product(*axes):
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
        found = []
        for plan in blocks:
            found.append(block(plan, side))
            side = conv_side(side, plan.stride)
        rows.append(np.sum(np.array(found, dtype=dtype), axis=0))
    return np.array(rows, dtype=dtype).reshape(*map(len, axes), -1)
