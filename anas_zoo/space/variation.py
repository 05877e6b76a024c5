"""Variation of codes: mutation and crossover as AttentiveNAS' and AlphaNet's evolution uses them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.space.genes import ABSENT
from anas_zoo.space.space import SearchSpace

Codes = npt.NDArray[np.int64]


def mutate(space: SearchSpace, codes: Codes, rng: np.random.Generator, *, probability: float = 0.2) -> Codes:
    """Each gene is redrawn uniformly with ``probability``; (N, genes) -> (N, genes), inputs kept.

    Blocks that a redrawn depth brings in are drawn uniformly.
    """
    redrawn = space.full_codes(rng, len(codes))
    codes = np.where(codes == ABSENT, redrawn, codes)
    return space.genes.canonical(np.where(rng.random(codes.shape) < probability, redrawn, codes))


def crossover(space: SearchSpace, first: Codes, second: Codes, rng: np.random.Generator) -> Codes:
    """Each gene comes from either parent with equal chance; two (N, genes) -> (N, genes).

    Where only one of them has a block, it is that one's.
    """
    mixed = np.where(rng.random(first.shape) < 0.5, first, second)
    return space.genes.canonical(np.where(mixed == ABSENT, np.maximum(first, second), mixed))


def neighbours(space: SearchSpace, codes: Codes) -> Codes:
    """All codes that differ from one of ``codes`` in one gene; (N, genes) -> (M, genes), repeats kept.

    Blocks that a larger depth brings in have the smallest choices.
    """
    found = []
    for gene, choices in enumerate(space.genes.choices):
        for value in choices:
            changed = codes[(codes[:, gene] != value) & (codes[:, gene] != ABSENT)].copy()
            changed[:, gene] = value
            found.append(space.genes.canonical(changed))
    return np.concatenate(found)
