"""The genes of a space: their names, allowed values, and the way between values and choice indices."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SpaceError
from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig


def _lengths(stages: int) -> dict[str, int]:
    return {"width": stages + 2, "depth": stages, "kernel_size": stages, "expand_ratio": stages}


def check_lengths(arch: Architecture, stages: int) -> None:
    """Raise :class:`SpaceError` unless every list of ``arch`` fits a network of ``stages`` stages.

    For architectures of no known space; even kernels, which no block can have, are refused too.
    """
    found = _length_breaches(arch, _lengths(stages))
    found += [f"kernel_size {size} is even" for size in sorted(set(arch.kernel_size)) if size % 2 == 0]
    if found:
        raise SpaceError(f"architecture {arch.id} does not fit: " + "; ".join(found), violations=found)


def _length_breaches(arch: Architecture, lengths: dict[str, int]) -> list[str]:
    return [
        f"{key} has {len(getattr(arch, key))} values, the space needs {length}"
        for key, length in lengths.items()
        if len(getattr(arch, key)) != length
    ]


class GeneTable:
    """One gene per elastic dimension of the input, the stem, each stage and the head.

    ``choices`` are ascending; ``parts`` are the slices of a code that hold widths, depths, kernel sizes and
    ratios.
    """

    def __init__(self, config: SpaceConfig) -> None:
        stages = config.stages
        self.names = (
            "resolution",
            "width of stem",
            *(f"width of {stage.name}" for stage in stages),
            "width of head",
            *(f"depth of {stage.name}" for stage in stages),
            *(f"kernel_size of {stage.name}" for stage in stages),
            *(f"expand_ratio of {stage.name}" for stage in stages),
        )
        self.choices = (
            config.resolution,
            config.stem.width,
            *(stage.width for stage in stages),
            config.head.width,
            *(stage.depth for stage in stages),
            *(stage.kernel_size for stage in stages),
            *(stage.expand_ratio for stage in stages),
        )
        self.count = len(self.choices)
        self.size = math.prod(len(choices) for choices in self.choices)
        self.lengths = _lengths(len(stages))
        ends = np.cumsum([1, *self.lengths.values()]).tolist()
        self.parts = tuple(slice(a, b) for a, b in itertools.pairwise(ends))
        # index_of[gene][value] is the choice's index, -1 where the value is not a choice.
        self._index_of = []
        for choices in self.choices:
            table = np.full(choices[-1] + 1, -1, dtype=np.int64)
            table[list(choices)] = np.arange(len(choices))
            self._index_of.append(table)

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
        return [
            self._breach(gene, value)
            for gene, value in enumerate(arch.code)
            if value not in self.choices[gene]
        ]

    def _breach(self, gene: int, value: int) -> str:
        allowed = ", ".join(str(choice) for choice in self.choices[gene])
        return f"{self.names[gene]} is {value}, allowed: {allowed}"

    def index(self, gene: int, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Choice indices of one gene's ``values``; raises :class:`SpaceError` naming any other."""
        table = self._index_of[gene]
        # "clip" sends what is out of the table to its ends; both are then compared with the choice itself.
        found = np.take(table, values, mode="clip")
        bad = (found < 0) | (values > self.choices[gene][-1]) | (values < 0)
        if bad.any():
            breach = self._breach(gene, int(values[np.argmax(bad)]))
            raise SpaceError(f"code outside the space: {breach}", violations=[breach])
        return found

    def indices(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Choice indices of whole codes, (N, genes); raises :class:`SpaceError` for any other value."""
        return np.stack([self.index(g, codes[:, g]) for g in range(self.count)], axis=1)
