"""Architectures with accuracies from a rule that a predictor can learn, and archives of them."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from anas_zoo.searching import Archive, Evaluation
from anas_zoo.searching.predictor_fit import FittedPredictor, fit_predictor
from anas_zoo.space import Architecture, SearchSpace

DIGITS = SearchSpace.load("digits")


def taught(count: int, *, seed: int = 0, noise_pct: float = 0.2) -> tuple[list[Architecture], list[float]]:
    """Random architectures of the digits space; more pixels and more blocks are better, not in proportion."""
    rng = np.random.default_rng(seed)
    codes = DIGITS.sample_codes(rng, count)
    archs = DIGITS.decode(codes)
    share = DIGITS.genes.indices(codes) / np.maximum(1, [len(c) - 1 for c in DIGITS.genes.choices])
    top1 = 70 + 8 * np.sqrt(share[:, 0]) + 4 * share[:, DIGITS.genes.parts[1]].mean(1) * (1 + share[:, 0])
    return archs, (top1 + rng.normal(0, noise_pct, count)).tolist()


def write_archive(path: Path, archs: list[Architecture], top1_pct: list[float]) -> Path:
    """An archive as a search writes it."""
    macs, params = DIGITS.macs(archs, 10).tolist(), DIGITS.params(archs, 10).tolist()
    with Archive(path) as archive:
        for arch, cost, size, top1 in zip(archs, macs, params, top1_pct, strict=True):
            archive.add([Evaluation(arch, cost, size, top1, images=500)])
    return path


@functools.cache
def fitted(model: str) -> FittedPredictor:
    """A predictor of that model on 60 architectures, of which 12 are held out; made once for all tests."""
    return fit_predictor(DIGITS, *taught(60), model=model)
