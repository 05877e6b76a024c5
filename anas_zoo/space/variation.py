"""Variation of codes: mutation and crossover as AttentiveNAS' and AlphaNet's evolution uses them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.space.space import SearchSpace

Codes = npt.NDArray[np.int64]


def mutate(space: SearchSpace, codes: Codes, rng: np.random.Generator, *, probability: float = 0.2) -> Codes:
    """Each gene is redrawn uniformly with ``probability``; (N, genes) -> (N, genes), inputs kept."""
    redrawn = space.sample_codes(rng, len(codes))
    return np.where(rng.random(codes.shape) < probability, redrawn, codes)


def crossover(first: Codes, second: Codes, rng: np.random.Generator) -> Codes:
    """Each gene comes from either parent with equal chance; two (N, genes) -> (N, genes)."""
    return np.where(rng.random(first.shape) < 0.5, first, second)


def neighbours(space: SearchSpace, codes: Codes) -> Codes:
    """All codes that differ from one of ``codes`` in one gene; (N, genes) -> (M, genes), repeats kept."""
    found = []
    for gene, choices in enumerate(space.genes.choices):
        for value in choices:
            changed = codes[codes[:, gene] != value].copy()
            changed[:, gene] = value
            found.append(changed)
    return np.concatenate(found)
