"""The search space: which architectures there are, how they are drawn, encoded, checked and priced."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ConfigError, SpaceError, nearest
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.schema import parse, read_yaml
from anas_zoo.space.architecture import Architecture
from anas_zoo.space.config import SpaceConfig
from anas_zoo.space.cost import CostTables, exact_costs
from anas_zoo.space.genes import ABSENT, GeneTable
from anas_zoo.space.structure import Structure

PRESETS = Path(__file__).parent / "presets"

Codes = npt.NDArray[np.int64]

MAX_TILT = 4.0  # e^4: the last choice of a gene is then 55 times as likely as the first
MAX_LISTED = 1_000_000
FLOAT32_BYTES = 4


class SearchSpace:
    """All architectures that one supernet contains.

    A *code* is an architecture as a row of integers: the chosen values (not their indices) in the
    order resolution, widths (stem, stages, head), depths, kernel sizes, expand ratios; 31 genes for
    ``attentive_nas``. Where blocks choose their kernel size or expand ratio for themselves, each has a gene,
    which is 0 where a shallower depth leaves the block out (see :class:`GeneTable`). Codes are what searches
    vary and predictors read.
    """

    def __init__(self, config: SpaceConfig) -> None:
        self.config = config
        self.name = config.name
        self.structure: Structure = config.structure()
        self.genes = GeneTable(config)

    @classmethod
    def load(cls, source: str | Path) -> SearchSpace:
        """The space of a preset's name (see :meth:`presets`) or of a YAML file.

        Raises :class:`ConfigError` that says what is wrong in the file or which presets there are.
        """
        path = Path(source)
        if path.suffix not in (".yaml", ".yml"):
            path = PRESETS / f"{source}.yaml"
            if str(source) not in cls.presets():
                known = ", ".join(cls.presets())
                raise ConfigError(
                    f"no search space named {str(source)!r}{nearest(str(source), cls.presets())}; "
                    f"presets: {known}; or give a .yaml file"
                )
        return cls(parse(SpaceConfig, read_yaml(path), str(path)))

    @classmethod
    def from_dict(cls, data: dict[str, Any], source: str = "search space") -> SearchSpace:
        """The space that :meth:`to_dict` wrote; ``source`` names it in errors."""
        return cls(parse(SpaceConfig, data, source))

    @staticmethod
    def presets() -> list[str]:
        """Names of the bundled spaces."""
        return sorted(path.stem for path in PRESETS.glob("*.yaml"))

    def to_dict(self) -> dict[str, Any]:
        """The space as plain data, everything its file says."""
        return self.config.model_dump(mode="json")

    @functools.cached_property
    def id(self) -> str:
        """Short content hash; two spaces of one name but different choices differ in it."""
        return sha256_bytes(canonical_json(self.to_dict()).encode())[:12]

    def at(self, resolution: Sequence[int]) -> SearchSpace:
        """This space with only these of its resolutions. Raises :class:`SpaceError` for one it has not."""
        if not resolution or not set(resolution) <= set(self.config.resolution):
            raise SpaceError(
                f"the resolutions of {self.name!r} are {', '.join(map(str, self.config.resolution))}; "
                f"got {', '.join(map(str, resolution)) or 'none'}"
            )
        return SearchSpace(self.config.model_copy(update={"resolution": tuple(sorted(set(resolution)))}))

    @property
    def size(self) -> int:
        """Number of architectures (an exact, possibly very large integer)."""
        return self.genes.size

    @functools.cached_property
    def smallest(self) -> Architecture:
        """The smallest choice of every elastic dimension."""
        return self.genes.unpack([choices[0] for choices in self.genes.choices])

    @functools.cached_property
    def largest(self) -> Architecture:
        """The largest choice of every elastic dimension."""
        return self.genes.unpack([choices[-1] for choices in self.genes.choices])

    def sample(self, rng: np.random.Generator) -> Architecture:
        """One architecture, every elastic dimension uniform and independent."""
        return self.genes.unpack(self.sample_codes(rng, 1)[0])

    def sample_codes(self, rng: np.random.Generator, count: int) -> Codes:
        """``count`` uniform draws as codes, (count, genes) int64."""
        return self.genes.canonical(self.full_codes(rng, count))

    def full_codes(self, rng: np.random.Generator, count: int) -> Codes:
        """As :meth:`sample_codes`, but genes of absent blocks hold choices too, for what varies depths."""
        drawn = [np.asarray(c)[rng.integers(len(c), size=count)] for c in self.genes.choices]
        return np.stack(drawn, axis=1).astype(np.int64)

    def tilted_codes(self, rng: np.random.Generator, count: int) -> Codes:
        """``count`` draws as codes that reach from the smallest to the largest, (count, genes) int64.

        Uniform draws crowd around the middle of the costs. Here each architecture has a tilt of its own,
        uniform in ±4, by which the chances of a gene's choices rise or fall exponentially from first to last.
        """
        tilt = rng.uniform(-MAX_TILT, MAX_TILT, size=(count, 1))
        drawn = []
        for choices in self.genes.choices:
            weights = np.exp(tilt * np.linspace(0.0, 1.0, len(choices)))
            below = np.cumsum(weights, axis=1)[:, :-1] / weights.sum(axis=1, keepdims=True)
            drawn.append(np.asarray(choices)[(rng.random((count, 1)) > below).sum(axis=1)])
        return self.genes.canonical(np.stack(drawn, axis=1).astype(np.int64))

    def every_code(self) -> Codes:
        """All codes of a small space, (size, genes) int64. Raises :class:`SpaceError` above a million."""
        if self.size > MAX_LISTED:
            raise SpaceError(f"the space {self.name!r} has {self.size:.3g} architectures, too many to list")
        if self.genes.optional:
            return self._every_code_once()
        return np.array(list(itertools.product(*self.genes.choices)), dtype=np.int64)

    def _every_code_once(self) -> Codes:
        """The codes of a space where genes can be absent: all choices of those that are present."""
        genes, found = self.genes, []
        fixed = [choices if g not in genes.optional else (ABSENT,) for g, choices in enumerate(genes.choices)]
        for code in itertools.product(*fixed):
            absent = genes.absent(np.array([code], dtype=np.int64))[0]
            open_ = {g for g, left_out in zip(genes.optional, absent, strict=True) if not left_out}
            states = [genes.choices[g] if g in open_ else (value,) for g, value in enumerate(code)]
            found.append(np.array(list(itertools.product(*states)), dtype=np.int64))
        return np.concatenate(found)

    def violations(self, arch: Architecture) -> list[str]:
        """Every way in which ``arch`` breaks the space, each in words; empty when it is inside."""
        return self.genes.violations(arch)

    def validate(self, arch: Architecture) -> None:
        """Raise :class:`SpaceError` that lists every violation at once."""
        found = self.violations(arch)
        if found:
            count = f"{len(found)} violation{'s' if len(found) > 1 else ''}"
            raise SpaceError(
                f"architecture {arch.id} is outside the space {self.name!r}, {count}: " + "; ".join(found),
                violations=found,
            )

    def encode(self, archs: Iterable[Architecture]) -> Codes:
        """Codes of ``archs``, (N, genes) int64. Raises :class:`SpaceError` for one outside the space."""
        archs = list(archs)
        for arch in archs:
            self.validate(arch)
        return self.genes.pack(archs)

    def decode(self, codes: npt.ArrayLike) -> list[Architecture]:
        """Architectures of codes (N, genes). Raises :class:`SpaceError` for a value no choice has."""
        array = self._checked(codes)
        self.genes.indices(array)
        return [self.genes.unpack(row) for row in array.tolist()]

    def macs(
        self, archs: Sequence[Architecture] | npt.NDArray[Any], num_classes: int = 1000
    ) -> npt.NDArray[np.int64]:
        """Exact multiply-adds of convolutions and linear layers, (N,) int64, at each one's resolution.

        Accepts architectures or codes; raises :class:`SpaceError` when one is outside the space.
        This is what the AttentiveNAS paper calls FLOPs.
        """
        return self._costs.sum(self.codes(archs), 0, num_classes)

    def params(
        self, archs: Sequence[Architecture] | npt.NDArray[Any], num_classes: int = 1000
    ) -> npt.NDArray[np.int64]:
        """Exact number of live parameters (batch norm's weight and bias included), (N,) int64."""
        return self._costs.sum(self.codes(archs), 1, num_classes)

    def size_bytes(
        self, archs: Sequence[Architecture] | npt.NDArray[Any], num_classes: int = 1000
    ) -> npt.NDArray[np.int64]:
        """Exact bytes of the float32 weights with batch norm folded, as in an exported file, (N,) int64.

        The file itself is larger by its graph, some tens of kB.
        """
        return FLOAT32_BYTES * self._costs.sum(self.codes(archs), 2, num_classes)

    @functools.cached_property
    def _costs(self) -> CostTables:
        return CostTables(self.config, self.genes, exact_costs)

    def codes(self, archs: Sequence[Architecture] | npt.NDArray[Any]) -> Codes:
        """Codes of architectures; codes are passed through, (N, genes) int64.

        Only the shape is checked: the cost tables refuse values outside the space.
        """
        if isinstance(archs, np.ndarray):
            return self._checked(archs)
        if isinstance(archs, Architecture):
            raise SpaceError("give a list of architectures: space.macs([arch])")
        for arch in archs:
            if not self.genes.has_shape(arch):
                self.validate(arch)
        return self.genes.pack(archs)

    def _checked(self, codes: npt.ArrayLike) -> Codes:
        array = np.asarray(codes)
        if array.ndim != 2 or array.shape[1] != self.genes.count or array.dtype.kind not in "iu":
            raise SpaceError(
                f"codes of the space {self.name!r} are integers of shape (N, {self.genes.count}); "
                f"got {array.dtype} of shape {array.shape}"
            )
        return array.astype(np.int64, copy=False)

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {self.genes.count} genes, {self.size:.3g} architectures)"
