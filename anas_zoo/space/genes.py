"""The genes of a space: their names, allowed values, and the way between codes and architectures."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SpaceError
from anas_zoo.space.architecture import RATIO_DIGITS, Architecture, of_blocks, plain_number
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.structure import Structure

Codes = npt.NDArray[np.int64]

CHUNK = 4096  # architectures that are packed at a time: they stay in the second-level cache
ABSENT = 0  # what the gene of a block holds that a shallower depth leaves out


def _lengths(stages: int) -> dict[str, int]:
    return {"width": stages + 2, "depth": stages, "kernel_size": stages, "expand_ratio": stages}


def check_fits(arch: Architecture, structure: Structure) -> None:
    """Raise :class:`SpaceError` unless every list of ``arch`` fits a network of ``structure``.

    For architectures of no known space; even kernels, which no block can have, are refused too.
    """
    found = _length_breaches(arch, _lengths(len(structure.stages)))
    kernel_sizes = {size for sizes in arch.kernel_size for size in of_blocks(sizes, 1)}
    found += [f"kernel_size {size} is even" for size in sorted(kernel_sizes) if size % 2 == 0]
    for stage, (depth, fixed) in enumerate(zip(arch.depth, structure.stages, strict=False)):
        if isinstance(fixed.se, tuple) and depth > len(fixed.se):
            found.append(f"stage {stage} has {depth} blocks, its squeeze-and-excite is of {len(fixed.se)}")
    for stage, (ratios, fixed) in enumerate(zip(arch.expand_ratio, structure.stages, strict=False)):
        if fixed.block == "plain" and set(of_blocks(ratios, 1)) != {1}:
            found.append(f"expand_ratio of stage {stage}, whose blocks are plain, is not 1")
    if structure.head.kind == "pool" and arch.width[-1] != arch.width[-2]:
        found.append(
            f"a head of kind pool reads the {arch.width[-2]} channels before it, not {arch.width[-1]}"
        )
    if found:
        raise SpaceError(f"architecture {arch.id} does not fit: " + "; ".join(found), violations=found)


def _length_breaches(arch: Architecture, lengths: dict[str, int]) -> list[str]:
    breaches = [
        f"{key} has {len(getattr(arch, key))} values, the space needs {length}"
        for key, length in lengths.items()
        if len(getattr(arch, key)) != length
    ]
    for key in ("kernel_size", "expand_ratio"):
        for stage, (value, depth) in enumerate(zip(getattr(arch, key), arch.depth, strict=False)):
            if isinstance(value, tuple) and len(value) != depth:
                breaches.append(f"{key} of stage {stage} has {len(value)} values for {depth} blocks")
    return breaches


@dataclass(frozen=True)
class _StageGenes:
    """The genes of one stage's kernel sizes or expand ratios: one of all its blocks, or one of each."""

    places: slice
    depth: int  # place of the depth's gene

    @property
    def count(self) -> int:
        return len(range(self.places.start, self.places.stop))


class GeneTable:
    """One gene per elastic dimension of the input, the stem, each stage and the head.

    Where a stage's blocks choose their kernel size or expand ratio for themselves, there is a gene of each
    block at full depth; one that a shallower depth leaves out holds 0.

    Attributes:
        names: of the genes, for people.
        choices: of each gene, ascending; what a block can have that is present.
        states: what a gene's place in a code can hold: its choices, and before them 0 where it can be absent.
        count: how many genes there are.
        size: how many architectures there are.
        parts: the slices of a code that hold widths, depths, kernel sizes and ratios.
        optional: the genes that can be absent.
        ratio_unit: what expand ratios are multiplied with in a code: 100 where one of the space is no
        integer.
    """

    def __init__(self, config: SpaceConfig) -> None:
        stages = config.stages
        fractional = any(type(r) is not int for s in stages for choices in s.expand_ratios for r in choices)
        self.ratio_unit = 10**RATIO_DIGITS if fractional else 1
        names = [
            "resolution",
            "width of stem",
            *(f"width of {stage.name}" for stage in stages),
            "width of head",
            *(f"depth of {stage.name}" for stage in stages),
        ]
        choices: list[tuple[int, ...]] = [
            config.resolution,
            config.stem.width,
            *(stage.width for stage in stages),
            config.head.width,
            *(stage.depth for stage in stages),
        ]
        self.lengths = _lengths(len(stages))
        depths = 1 + self.lengths["width"]
        optional: list[tuple[int, int, int]] = []  # gene, gene of its stage's depth, number of its block
        self._stage_genes: list[list[_StageGenes]] = []
        ends = [1, depths, len(choices)]
        for key in ("kernel_size", "expand_ratio"):
            unit = self.ratio_unit if key == "expand_ratio" else 1
            of_key = []
            for number, stage in enumerate(stages):
                given = getattr(stage, key)
                own = isinstance(given[0], tuple)
                start = len(choices)
                for block, listed in enumerate(given if own else (given,)):
                    if own and block >= stage.depth[0]:
                        optional.append((len(choices), depths + number, block))
                    names.append(f"{key} of {stage.name}" + (f", block {block + 1}" if own else ""))
                    choices.append(tuple(round(value * unit) for value in listed))
                of_key.append(_StageGenes(slice(start, len(choices)), depths + number))
            self._stage_genes.append(of_key)
            ends.append(len(choices))
        self.names, self.choices = tuple(names), tuple(choices)
        self.count = len(choices)
        self.parts = tuple(slice(a, b) for a, b in itertools.pairwise(ends))
        self.optional = tuple(gene for gene, _, _ in optional)
        self._depth_of = tuple(depth for _, depth, _ in optional)
        self._block_of = np.array([block for _, _, block in optional], dtype=np.int64)
        self.states = tuple(
            (ABSENT, *values) if gene in self.optional else values for gene, values in enumerate(self.choices)
        )
        # index_of[gene][value] is the state's index, -1 where the value is not one.
        self._index_of = []
        for values in self.states:
            table = np.full(values[-1] + 1, -1, dtype=np.int64)
            table[list(values)] = np.arange(len(values))
            self._index_of.append(table)
        self._plain = self.ratio_unit == 1 and all(g.count == 1 for of in self._stage_genes for g in of)
        self._row = struct.Struct(f"={self.count}i")
        # Where :meth:`_pack_blocks` has what the genes hold, a column for each block at full depth.
        self._full_depth = [stage.depth[-1] for stage in stages]
        self._block = np.concatenate([np.arange(depth) for depth in self._full_depth])
        columns, self._shared, start = list(range(depths + len(stages))), list[tuple[int, int]](), ends[2]
        for of_key in self._stage_genes:
            for genes, full in zip(of_key, self._full_depth, strict=True):
                columns += range(start, start + genes.count)
                if genes.count == 1 < full:
                    self._shared.append((start, full))
                start += full
        self._columns = np.array(columns)

    @property
    def size(self) -> int:
        """How many architectures there are; codes that differ in absent genes only are one."""
        depths = set(self._depth_of)
        found = math.prod(
            len(choices)
            for gene, choices in enumerate(self.choices)
            if gene not in depths and gene not in self.optional
        )
        tied = list(zip(self.optional, self._depth_of, self._block_of.tolist(), strict=True))
        for depth in depths:
            found *= sum(
                math.prod(len(self.choices[g]) for g, own, block in tied if own == depth and block < chosen)
                for chosen in self.choices[depth]
            )
        return found

    def of_stage(self, key: int, stage: int) -> tuple[int, ...]:
        """The genes of a stage's kernel sizes (``key`` 0) or expand ratios (1): one, or one of each block."""
        places = self._stage_genes[key][stage].places
        return tuple(range(places.start, places.stop))

    def has_shape(self, arch: Architecture) -> bool:
        """Whether every list of ``arch`` has the length that this space needs."""
        lengths = len(arch.width), len(arch.depth), len(arch.kernel_size), len(arch.expand_ratio)
        return lengths == tuple(self.lengths.values())  # in the order of the lengths' keys

    def violations(self, arch: Architecture) -> list[str]:
        """Every breach of ``arch``, in words."""
        found = _length_breaches(arch, self.lengths)
        if found:  # with wrong lengths it is unknown which value belongs to which gene
            if arch.resolution not in self.choices[0]:
                found.insert(0, self._breach(0, arch.resolution))
            return found
        found = [
            self._breach(gene, value)
            for gene, value in enumerate((arch.resolution, *arch.width, *arch.depth))
            if value not in self.choices[gene]
        ]
        units, lists = (1, self.ratio_unit), (arch.kernel_size, arch.expand_ratio)
        for unit, given, of_key in zip(units, lists, self._stage_genes, strict=True):
            for value, genes, depth in zip(given, of_key, arch.depth, strict=True):
                if genes.count == 1 and isinstance(value, tuple):
                    text = ", ".join(map(str, value))
                    found.append(f"{self.names[genes.places.start]} is one of all blocks, not {text}")
                    continue
                present = of_blocks(value, depth if genes.count > 1 else 1)
                for gene, one in zip(range(genes.places.start, genes.places.stop), present, strict=False):
                    coded = round(one * unit, 6)  # 2.3 × 100 is 229.99999999999997
                    if coded not in self.choices[gene]:
                        found.append(self._breach(gene, coded))
        return found

    def _breach(self, gene: int, value: float) -> str:
        unit = self.ratio_unit if gene >= self.parts[-1].start else 1
        allowed = ", ".join(str(plain_number(choice / unit)) for choice in self.choices[gene])
        return f"{self.names[gene]} is {plain_number(value / unit)}, allowed: {allowed}"

    def pack(self, archs: Sequence[Architecture]) -> Codes:
        """Codes of architectures that have this space's shape, (N, genes).

        Raises :class:`SpaceError` for a value that no code can hold.
        """
        pack = self._pack_stages if self._plain else self._pack_blocks
        if len(archs) <= CHUNK:
            packed = [pack(archs)]
        else:
            packed = [pack(archs[start : start + CHUNK]) for start in range(0, len(archs), CHUNK)]
        codes = [part for part in packed if part is not None]
        if len(codes) == len(packed):
            return codes[0] if len(codes) == 1 else np.concatenate(codes)
        for arch in archs:
            found = self.violations(arch)
            if found:
                raise SpaceError(
                    f"architecture {arch.id} is outside the space: " + "; ".join(found), violations=found
                )
        raise SpaceError("an architecture has values that no code can hold")

    def _pack_stages(self, archs: Sequence[Architecture]) -> Codes | None:
        """Codes where no block chooses for itself; None for a value that does not even fit."""
        # Through bytes: numpy takes half as long again to read a list of tuples.
        pack = self._row.pack
        try:
            packed = b"".join([pack(*arch.code) for arch in archs])
        except struct.error:
            return None
        return np.frombuffer(packed, dtype=np.int32).reshape(len(archs), self.count).astype(np.int64)

    def _pack_blocks(self, archs: Sequence[Architecture]) -> Codes | None:
        """Codes where blocks may choose for themselves; None for a value that does not fit."""
        if not archs:
            return np.empty((0, self.count), dtype=np.int64)
        try:
            rows = [arch.packed_blocks for arch in archs]
        except (SpaceError, OverflowError):
            return None
        flat = np.frombuffer(b"".join(rows), dtype=np.float64)
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows)) // flat.itemsize
        starts = np.cumsum(lengths) - lengths
        depth = flat[starts[:, None] + np.arange(self.parts[1].start, self.parts[1].stop)]
        if (depth > self._full_depth).any():
            return None
        # Every block at full depth has a column here; those that are there are filled row by row.
        there = np.ones((len(rows), self.parts[1].stop + 2 * len(self._block)), dtype=np.bool_)
        there[:, self.parts[1].stop :] = np.tile(np.repeat(depth, self._full_depth, axis=1) > self._block, 2)
        filled = np.zeros(there.shape)
        filled[there] = flat
        for first, count in self._shared:  # columns of blocks that have one gene
            own, others = filled[:, first, None], filled[:, first + 1 : first + count]
            if ((others != own) & there[:, first + 1 : first + count]).any():
                return None
        filled = filled[:, self._columns]
        filled[:, self.parts[-1]] *= self.ratio_unit
        codes = np.rint(filled)
        return None if (np.abs(codes - filled) > 1e-6).any() else codes.astype(np.int64)

    def unpack(self, row: Iterable[int]) -> Architecture:
        """The architecture of one code."""
        values = [int(value) for value in row]
        chosen: list[tuple[float | tuple[float, ...], ...]] = []
        for unit, of_key in zip((1, self.ratio_unit), self._stage_genes, strict=True):
            of_stages: list[float | tuple[float, ...]] = []
            for genes in of_key:
                present = values[genes.places][: values[genes.depth]]
                plain = tuple(value / unit for value in present) if unit > 1 else tuple(present)
                of_stages.append(plain[0] if genes.count == 1 else plain)
            chosen.append(tuple(of_stages))
        widths, depths = (tuple(values[part]) for part in self.parts[:2])
        return Architecture(values[0], widths, depths, chosen[0], chosen[1])  # type: ignore[arg-type]

    def absent(self, codes: Codes) -> npt.NDArray[np.bool_]:
        """Which of the ``optional`` genes each code's depths leave out, (N, optional)."""
        return codes[:, self._depth_of] <= self._block_of

    def canonical(self, codes: Codes) -> Codes:
        """``codes`` with 0 in every absent gene, and the smallest choice in present ones that hold 0."""
        if not self.optional:
            return codes
        codes = codes.copy()
        columns, absent = list(self.optional), self.absent(codes)
        smallest = np.array([self.choices[gene][0] for gene in columns])
        held = codes[:, columns]
        codes[:, columns] = np.where(absent, ABSENT, np.where(held == ABSENT, smallest, held))
        return codes

    def index(self, gene: int, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """State indices of one gene's ``values``; raises :class:`SpaceError` naming any other."""
        table = self._index_of[gene]
        # "clip" sends what is out of the table to its ends; both are then compared with the choice itself.
        found = np.take(table, values, mode="clip")
        if len(values) and (found.min() < 0 or values.min() < 0 or values.max() >= len(table)):
            bad = (found < 0) | (values >= len(table)) | (values < 0)
            raise self._outside(gene, int(values[np.argmax(bad)]))
        return found

    def indices(self, codes: Codes) -> npt.NDArray[np.int64]:
        """State indices of whole codes, (N, genes); those of absent genes are 0, whatever they hold.

        Raises :class:`SpaceError` for any other value.
        """
        self.check_present(codes)
        return np.stack([self.index(g, column) for g, column in enumerate(self.canonical(codes).T)], axis=1)

    def check_present(self, codes: Codes) -> None:
        """Raise :class:`SpaceError` for a block that is present and has no value."""
        columns = list(self.optional)
        missing = (codes[:, columns] == ABSENT) & ~self.absent(codes)
        if missing.any():
            raise self._outside(columns[int(np.argwhere(missing)[0][1])], ABSENT)

    def _outside(self, gene: int, value: int) -> SpaceError:
        breach = self._breach(gene, value)
        return SpaceError(f"code outside the space: {breach}", violations=[breach])
