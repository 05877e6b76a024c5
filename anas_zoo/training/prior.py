"""The FLOPs prior of a space: π(τ) over multiply-adds, and π(architecture | τ), from uniform draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.space import SearchSpace

__all__ = ["FlopsPrior"]

Codes = npt.NDArray[np.int64]


class FlopsPrior:
    """Empirical distributions over ``draws`` uniform architectures (AttentiveNAS, section 4.2).

    π(τ) is the histogram of their multiply-adds; π(architecture | τ) takes, within a bin, each gene's
    frequency of values as independent and accepts what falls into the bin.

    Attributes:
        edges: limits of the bins in multiply-adds, (bins + 1,) int64.
        probabilities: π(τ) per bin.
        tried, accepted: conditional candidates drawn so far, and how many fell into their bin.
    """

    def __init__(self, space: SearchSpace, rng: np.random.Generator, *, draws: int, bins: int) -> None:
        self.space = space
        codes = space.sample_codes(rng, draws)
        macs = space.macs(codes)
        low, high = (int(space.macs([arch])[0]) for arch in (space.smallest, space.largest))
        self.edges = np.linspace(low, high + 1, bins + 1).astype(np.int64)
        bin_of = self.bin_of(macs)
        counts = np.bincount(bin_of, minlength=bins)
        self.probabilities = counts / draws
        # _frequencies[gene][bin] are the frequencies of the gene's choices among the draws of the bin.
        self._frequencies = []
        indices = space.genes.indices(codes)
        for gene, choices in enumerate(space.genes.choices):
            flat = np.bincount(bin_of * len(choices) + indices[:, gene], minlength=bins * len(choices))
            table = flat.reshape(bins, len(choices)).astype(np.float64)
            self._frequencies.append(table / np.maximum(counts, 1)[:, None])
        self.tried = self.accepted = 0

    def bin_of(self, macs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Bin of each count; what lies outside goes to the nearest bin."""
        found = np.searchsorted(self.edges, macs, side="right") - 1
        return np.clip(found, 0, len(self.edges) - 2).astype(np.int64)

    def draw_target(self, rng: np.random.Generator) -> int:
        """A bin drawn from π(τ)."""
        return int(rng.choice(len(self.probabilities), p=self.probabilities))

    def draw_given(self, target: int, count: int, rng: np.random.Generator, *, max_tries: int) -> Codes:
        """Up to ``count`` codes from π(architecture | τ = ``target``), at most ``max_tries`` tries each.

        Returns (found, genes) with found ≤ count; the acceptance rate is kept in ``tried`` and
        ``accepted``.
        """
        tries = count * max_tries
        columns = [
            np.asarray(choices)[rng.choice(len(choices), size=tries, p=table[target])]
            for choices, table in zip(self.space.genes.choices, self._frequencies, strict=True)
        ]
        codes = np.stack(columns, axis=1).astype(np.int64)
        hits = np.flatnonzero(self.bin_of(self.space.macs(codes)) == target)[:count]
        # Tries after the last accepted one would not have been made one by one.
        self.tried += int(hits[-1]) + 1 if len(hits) == count else tries
        self.accepted += len(hits)
        return codes[hits]

    @property
    def acceptance_pct(self) -> float:
        """Accepted share of the conditional candidates tried so far."""
        return 100.0 * self.accepted / self.tried if self.tried else float("nan")
