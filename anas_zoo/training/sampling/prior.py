"""The FLOPs prior of a space: π(τ) over multiply-adds, and π(architecture | τ), from uniform draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import TrainingError
from anas_zoo.space import Architecture, SearchSpace

Codes = npt.NDArray[np.int64]

CHUNK = 250_000  # architectures drawn and priced at a time
MAX_TARGETS = 20  # FLOPs bins tried for one draw, where they yield too few candidates


@dataclass(frozen=True)
class FlopsPrior:
    """Empirical distributions over uniform draws of architectures (AttentiveNAS, section 4.2).

    π(τ) is the histogram of their multiply-adds; π(architecture | τ) takes, within a bin, each gene's
    frequency of values as independent and accepts what falls into the bin.

    Attributes:
        edges: limits of the bins in multiply-adds, (bins + 1,) int64.
        probabilities: π(τ) per bin, (bins,).
        frequencies: per gene, (bins, choices): how often each choice occurs among the draws of a bin.
    """

    space: SearchSpace
    edges: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    frequencies: tuple[npt.NDArray[np.float64], ...]

    @classmethod
    def draw(cls, space: SearchSpace, *, draws: int, bins: int, seed: int = 0) -> FlopsPrior:
        """The prior from ``draws`` uniform architectures (a million: 4 s), in ``bins`` equally wide bins."""
        rng = np.random.default_rng(seed)
        low, high = space.macs([space.smallest, space.largest]).tolist()
        edges = np.linspace(low, high + 1, bins + 1).astype(np.int64)
        counts = np.zeros(bins, dtype=np.int64)
        tables = [np.zeros((bins, len(states)), dtype=np.int64) for states in space.genes.states]
        for start in range(0, draws, CHUNK):
            codes = space.sample_codes(rng, min(CHUNK, draws - start))
            found = _bin_of(edges, space.macs(codes))
            counts += np.bincount(found, minlength=bins)
            indices = space.genes.indices(codes)
            for gene, table in enumerate(tables):
                flat = np.bincount(found * table.shape[1] + indices[:, gene], minlength=table.size)
                table += flat.reshape(table.shape)
        for gene in space.genes.optional:  # a choice is drawn for every block; depth decides which are there
            tables[gene] = tables[gene][:, 1:]
        shares = tuple(_shares(table, counts) for table in tables)
        return cls(space, edges, counts / draws, shares)

    @property
    def occupied(self) -> npt.NDArray[np.int64]:
        """The bins that some of the draws fell into, ascending."""
        return np.flatnonzero(self.probabilities)

    def draw_target(self, rng: np.random.Generator) -> int:
        """A bin drawn from π(τ)."""
        return int(rng.choice(len(self.probabilities), p=self.probabilities))

    def draw_given(
        self, target: int, count: int, rng: np.random.Generator, *, max_tries: int
    ) -> tuple[Codes, int]:
        """Up to ``count`` codes from π(architecture | τ = ``target``), at most ``max_tries`` tries each.

        Returns codes (found, genes) with found ≤ count, and how many candidates were tried.
        """
        tries = count * max_tries
        columns = [
            np.asarray(choices)[rng.choice(len(choices), size=tries, p=table[target])]
            for choices, table in zip(self.space.genes.choices, self.frequencies, strict=True)
        ]
        codes = self.space.genes.canonical(np.stack(columns, axis=1).astype(np.int64))
        hits = np.flatnonzero(_bin_of(self.edges, self.space.macs(codes)) == target)[:count]
        # Tries after the last accepted one would not have been made one by one.
        return codes[hits], int(hits[-1]) + 1 if len(hits) == count else tries


class Conditional:
    """Draws from π(architecture | τ) that are all there or none, and how many were tried for them so far.

    Attributes:
        prior: the distributions.
        counts: ``tried`` and, of these, ``accepted``: those of the right multiply-adds.
    """

    def __init__(self, prior: FlopsPrior, max_tries: int) -> None:
        self.prior, self._max_tries = prior, max_tries
        self.counts = {"tried": 0, "accepted": 0}

    def first(
        self, targets: Iterable[int], count: int, rng: np.random.Generator
    ) -> tuple[int, list[Architecture]]:
        """The first target that gives ``count`` architectures in ``max_tries`` tries each, and these.

        Raises :class:`TrainingError` with the acceptance rate where none of the first
        :data:`MAX_TARGETS` does.
        """
        for target in itertools.islice(targets, MAX_TARGETS):
            codes, tried = self.prior.draw_given(target, count, rng, max_tries=self._max_tries)
            self.counts["tried"] += tried
            self.counts["accepted"] += len(codes)
            if len(codes) == count:
                return target, self.prior.space.decode(codes)
        share = 100 * self.counts["accepted"] / self.counts["tried"]
        raise TrainingError(
            f"no FLOPs bin of {MAX_TARGETS} drawn gave {count} candidates in {self._max_tries} tries each "
            f"(acceptance {share:.2g} %); use fewer prior_bins"
        )


def _shares(table: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Shares of the choices in each bin that was drawn; all alike where the block was always absent."""
    seen = table.sum(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = np.where(seen > 0, table / np.maximum(seen, 1), 1 / table.shape[1])
    return found * (counts > 0)[:, None]


def _bin_of(edges: npt.NDArray[np.int64], macs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Bin of each count; what lies outside goes to the nearest bin."""
    found = np.searchsorted(edges, macs, side="right") - 1
    return np.clip(found, 0, len(edges) - 2).astype(np.int64)
