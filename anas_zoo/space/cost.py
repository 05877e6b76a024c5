"""Exact multiply-adds and parameters: of one network, and of many architectures at once by look-up.

What a stage adds to a cost depends on a handful of choices only (input width, width, depth, kernel size,
expand ratio and resolution). All combinations of one stage fit a table of at most a few hundred numbers, so
the cost of an architecture is one look-up per part and an addition; no network is built.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig, StageConfig
from anas_zoo.space.genes import GeneTable
from anas_zoo.space.layers import (
    Layer,
    block_layers,
    classifier_layer,
    head_layers,
    network_layers,
    stem_layers,
)
from anas_zoo.space.plan import BlockPlan, conv_side, plan_network, plan_stage
from anas_zoo.space.structure import Structure

CHUNK = 8192  # rows per pass: the columns of a chunk stay in the second-level cache

PriceList = Callable[[Sequence[Layer]], Sequence[float]]  # layers -> what they add to each cost
Values = npt.NDArray[Any]


def exact_costs(layers: Sequence[Layer]) -> tuple[int, int, int]:
    """(multiply-adds, parameters, parameters with batch norm folded) of ``layers``."""
    return (
        sum(layer.macs for layer in layers),
        sum(layer.params for layer in layers),
        sum(layer.folded_params for layer in layers),
    )


def count_by_walking(structure: Structure, arch: Architecture, num_classes: int) -> tuple[int, int]:
    """(multiply-adds, parameters) of one architecture, layer by layer: slow and plain.

    For an architecture of no known space, such as an entry's, and as the check of the tables.
    """
    macs, params, _ = exact_costs(network_layers(structure, arch, num_classes))
    return macs, params


def params_as_authors_count(structure: Structure, arch: Architecture, num_classes: int) -> int:
    """The parameters that the AttentiveNAS authors report for an architecture.

    Their extraction gives every block a 1×1 shortcut convolution, used or not. Where the shortcut is the
    identity or a pool alone it is dead weight of in_chs · out_chs, which the live count leaves out.
    """
    _, live = count_by_walking(structure, arch, num_classes)
    blocks = plan_network(structure, arch).blocks()
    return live + sum(block.in_chs * block.out_chs for block in blocks if "conv" not in block.shortcut)


class CostTables:
    """Look-up tables of one space for costs that are sums over layers.

    ``price``: layers -> what they add to each cost; ``dtype`` of the sums: integers stay exact.
    """

    def __init__(
        self, config: SpaceConfig, genes: GeneTable, price: PriceList, dtype: npt.DTypeLike = np.int64
    ) -> None:
        self._genes, self._price, self._dtype = genes, price, dtype
        self._head_widths = config.head.width
        n = len(config.stages)
        widths, depths = 1, 1 + n + 2
        kernels, ratios = depths + n, depths + 2 * n
        # Which genes select a row of each table; resolution (gene 0) is the last axis everywhere.
        self._keys: list[tuple[int, ...]] = [(widths, 0)]
        self._keys += [(widths + i, widths + i + 1, depths + i, kernels + i, ratios + i, 0) for i in range(n)]
        self._keys += [(widths + n, widths + n + 1, 0)]
        self._head_gene = widths + n + 1

        sides = [conv_side(r, config.stem.stride) for r in config.resolution]
        rows = [[price(stem_layers(config.stem, w, s)) for s in sides] for w in config.stem.width]
        tables = [np.array(rows, dtype=dtype)]
        in_widths = config.stem.width
        for stage in config.stages:
            tables.append(_stage_table(stage, in_widths, sides, price, dtype))
            in_widths = stage.width
            sides = [conv_side(s, stage.stride) for s in sides]
        ratio = config.head.expand_ratio
        last = [
            [[price(head_layers(c, c * ratio, w, s)) for s in sides] for w in config.head.width]
            for c in in_widths
        ]
        tables.append(np.array(last, dtype=dtype))
        self._strides = [
            [int(np.prod(table.shape[axis + 1 : -1])) for axis in range(table.ndim - 1)] for table in tables
        ]
        self._tables = [
            [np.ascontiguousarray(table[..., cost]).ravel() for table in tables]
            for cost in range(tables[0].shape[-1])
        ]

    def sum(self, codes: npt.NDArray[np.int64], cost: int, num_classes: int) -> Values:
        """The ``cost``-th cost of each row of ``codes``, classifier included, (N,).

        Raises :class:`SpaceError` for a value outside the space.
        """
        tables = self._tables[cost]
        classifiers = [self._price([classifier_layer(w, num_classes)])[cost] for w in self._head_widths]
        by_head_width = np.array(classifiers, dtype=self._dtype)
        total = np.empty(len(codes), dtype=self._dtype)
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
    stage: StageConfig, in_widths: tuple[int, ...], sides: list[int], price: PriceList, dtype: npt.DTypeLike
) -> Values:
    """[in width, width, depth, kernel size, expand ratio, resolution, cost] of one stage."""

    @functools.cache
    def block_price(block: BlockPlan, side: int) -> Sequence[float]:
        return price(block_layers(block, side))

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
        for block in blocks:
            found.append(block_price(block, side))
            side = conv_side(side, block.stride)
        rows.append(np.sum(np.array(found, dtype=dtype), axis=0))
    return np.array(rows, dtype=dtype).reshape(*map(len, axes), -1)
