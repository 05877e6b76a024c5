"""Exact multiply-adds and parameters: of one network, and of many architectures at once by look-up.

What a stage adds to a cost depends on a handful of choices only (input width, width, depth, kernel size,
expand ratio and resolution), and so does what a block adds whose kernel size or expand ratio is its own. All
combinations fit a table of at most a few hundred numbers, so the cost of an architecture is one look-up per
part and an addition; no network is built.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.genes import ABSENT, GeneTable
from anas_zoo.space.layers import (
    Layer,
    block_layers,
    classifier_layer,
    head_layers,
    network_layers,
    stem_layers,
)
from anas_zoo.space.plan import BlockPlan, conv_side, plan_block, plan_network, plan_stage
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
        self._head_gene = 1 + n + 1  # after the resolution's, the stem's and the stages'
        # Which genes select an entry of each table, and what the table says for their choices.
        parts: list[_Part] = []
        sides = _Sides(config)
        parts.append(
            _Part((1, 0), lambda width, side: stem_layers(config.stem, width, sides.after_stem(side)))
        )
        for index in range(n):
            parts += _stage_parts(config, genes, index, sides)
        parts.append(
            _Part(
                (n + 1, n + 2, 0),
                lambda chs, width, side: head_layers(config.head, chs, width, sides.before_head(side)),
            )
        )
        self._keys: list[list[tuple[int, int]]] = []  # of each table: gene, and the stride of its state
        tables = []
        for part in parts:
            table = part.table(genes, price, dtype)
            strides = [int(np.prod(table.shape[axis + 1 : -1])) for axis in range(table.ndim - 1)]
            elastic = [
                (gene, stride)
                for gene, stride in zip(part.genes, strides, strict=True)
                if len(genes.states[gene]) > 1  # a fixed one always selects the first
            ]
            self._keys.append(elastic)
            tables.append(table)
        self._tables = [
            [np.ascontiguousarray(table[..., cost]).ravel() for table in tables]
            for cost in range(tables[0].shape[-1])
        ]

    def sum(self, codes: npt.NDArray[np.int64], cost: int, num_classes: int) -> Values:
        """The ``cost``-th cost of each row of ``codes``, classifier included, (N,).

        Genes of absent blocks have no effect, whatever they hold.
        Raises :class:`SpaceError` for a value outside the space, and for a present block without one.
        """
        tables = self._tables[cost]
        classifiers = [self._price([classifier_layer(w, num_classes)])[cost] for w in self._head_widths]
        by_head_width = np.array(classifiers, dtype=self._dtype)
        total = np.empty(len(codes), dtype=self._dtype)
        for start in range(0, len(codes), CHUNK):
            columns = np.ascontiguousarray(codes[start : start + CHUNK].T)
            index = [self._genes.index(gene, column) for gene, column in enumerate(columns)]
            part = by_head_width[index[self._head_gene]]
            for table, keys in zip(tables, self._keys, strict=True):
                if not keys:
                    part += table[0]
                    continue
                row = index[keys[0][0]] * keys[0][1]
                for gene, stride in keys[1:]:
                    row += index[gene] * stride if stride > 1 else index[gene]
                part += table[row]
            total[start : start + CHUNK] = part
        if len(total) and self._genes.optional and total.min() < 0:
            self._genes.check_present(codes)
        return total


# What a table holds for a block that is present and has no kernel size or expand ratio: no sum of real costs
# and several of these is positive, and none overflows.
_UNKNOWN = -(2**50)


@dataclass(frozen=True)
class _Part:
    """A part of the network whose cost follows from a few genes.

    Attributes:
        genes: the ones that decide.
        layers: their states -> the layers; None for a block that is present and has no value.
    """

    genes: tuple[int, ...]
    layers: Callable[..., Sequence[Layer] | None]

    def table(self, genes: GeneTable, price: PriceList, dtype: npt.DTypeLike) -> Values:
        """[state of each gene, cost]."""
        states = [genes.states[gene] for gene in self.genes]
        costs = len(price(()))
        rows = []
        for values in itertools.product(*states):
            layers = self.layers(*values)
            rows.append([_UNKNOWN] * costs if layers is None else price(layers))
        return np.array(rows, dtype=dtype).reshape(*map(len, states), costs)


class _Sides:
    """Sides of the maps within a network, by resolution."""

    def __init__(self, config: SpaceConfig) -> None:
        self._stem, self._stages = config.stem.stride, tuple(stage.stride for stage in config.stages)

    def after_stem(self, resolution: int) -> int:
        return conv_side(resolution, self._stem)

    def before_stage(self, resolution: int, index: int) -> int:
        side = self.after_stem(resolution)
        for stride in self._stages[:index]:
            side = conv_side(side, stride)
        return side

    def before_head(self, resolution: int) -> int:
        return self.before_stage(resolution, len(self._stages))


def _stage_parts(config: SpaceConfig, genes: GeneTable, index: int, sides: _Sides) -> list[_Part]:
    """The tables of a stage: one where its blocks are alike, else one per block."""
    stage, in_gene = config.stages[index], 1 + index
    out_gene, depth_gene = in_gene + 1, 1 + len(config.stages) + 2 + index
    unit = genes.ratio_unit

    def layers_of(block: BlockPlan, resolution: int, number: int) -> tuple[Layer, ...]:
        side = sides.before_stage(resolution, index if number == 0 else index + 1)
        return block_layers(block, side)

    def of_stage(chs: int, width: int, depth: int, kernel: int, ratio: int, resolution: int) -> list[Layer]:
        plans = plan_stage(
            config,
            stage,
            in_chs=chs,
            out_chs=width,
            kernel_sizes=(kernel,) * depth,
            expand_ratios=(ratio / unit,) * depth,
        )
        return [x for number, plan in enumerate(plans) for x in layers_of(plan, resolution, number)]

    kernel_genes, ratio_genes = (genes.of_stage(key, index) for key in range(2))
    if len(kernel_genes) == len(ratio_genes) == 1:
        return [_Part((in_gene, out_gene, depth_gene, *kernel_genes, *ratio_genes, 0), of_stage)]

    def of_block(number: int) -> _Part:
        def layers(
            chs: int, width: int, depth: int, kernel: int, ratio: int, resolution: int
        ) -> Sequence[Layer] | None:
            if depth <= number:
                return ()
            if ABSENT in (kernel, ratio):
                return None
            plan = plan_block(
                config,
                stage,
                number,
                in_chs=chs if number == 0 else width,
                out_chs=width,
                kernel_size=kernel,
                expand_ratio=ratio / unit,
            )
            return layers_of(plan, resolution, number)

        own = (
            kernel_genes[min(number, len(kernel_genes) - 1)],
            ratio_genes[min(number, len(ratio_genes) - 1)],
        )
        return _Part((in_gene, out_gene, depth_gene, *own, 0), layers)

    return [of_block(number) for number in range(stage.depth[-1])]
