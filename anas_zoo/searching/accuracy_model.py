"""A model of accuracy from few evaluations: what the surrogate search asks about all other architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.searching.gaussian_process import GaussianProcess
from anas_zoo.searching.problem import Codes, Problem

Floats = npt.NDArray[np.float64]

TREES = 100
# So that two choices are as far apart as the two of a standardised gene that has both equally often.
CHOSEN = 2**0.5

Values = Callable[[Floats], Floats]


class AccuracyModel:
    """A Gaussian process, a forest of extremely randomised trees, or the mean of both (``models``).

    The process has a length scale for each of its inputs, which finds the few that matter. They are the place
    of each choice among its gene's, whether it is that choice, for what does not rise from the first to the
    last, and the logarithm of each cost. The forest (Geurts et al. 2006) does without the second. What each
    is worth is in benchmarks/results/search_efficiency.md.

    It is fitted on evaluated ``codes`` (N, genes) and their ``top1_pct`` (N,).
    """

    def __init__(
        self,
        problem: Problem,
        codes: Codes,
        top1_pct: Floats,
        *,
        models: Sequence[str] = ("process",),
    ) -> None:
        self._problem = problem
        states = problem.space.genes.states
        self._elastic = [gene for gene, values in enumerate(states) if len(values) > 1]
        self._last = np.array([max(len(values) - 1, 1) for values in states], dtype=np.float64)
        # The gene and the state of each column of choices.
        columns = [(gene, state) for gene in self._elastic for state in range(len(states[gene]))]
        self._genes, self._states = np.array(columns, dtype=np.int64).reshape(-1, 2).T
        self._names = [name for name in problem.cost_names if name != "size_bytes"]  # it follows parameters
        places, costs, choices = self._inputs(codes)
        raw = np.column_stack([places, costs])
        self._centre, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale == 0] = 1.0
        self._mean, self._spread = float(top1_pct.mean()), float(top1_pct.std()) or 1.0
        x, y = self._standardised(places, costs), (top1_pct - self._mean) / self._spread
        self._process = GaussianProcess(np.column_stack([x, choices]), y) if "process" in models else None
        self._trees = _trees(x, y) if "trees" in models else None

    def __call__(self, codes: Codes) -> Floats:
        """Predicted top-1 in percent, (N,)."""
        places, costs, choices = self._inputs(codes)
        x = self._standardised(places, costs)
        found = [] if self._process is None else [self._process(np.column_stack([x, choices]))]
        found += [] if self._trees is None else [self._trees(x)]
        return np.asarray(np.mean(found, axis=0) * self._spread + self._mean, dtype=np.float64)

    def _inputs(self, codes: Codes) -> tuple[Floats, Floats, Floats]:
        """Places of the choices from 0 to 1, logarithms of the costs, and which choice it is; (N, …) each."""
        indices, costs = self._problem.space.genes.indices(codes), self._problem.costs(codes)
        logs = np.column_stack([np.log(np.maximum(costs[name], 1e-9)) for name in self._names])
        choices = CHOSEN * (indices[:, self._genes] == self._states)
        return (indices / self._last)[:, self._elastic], logs, choices

    def _standardised(self, places: Floats, costs: Floats) -> Floats:
        scaled: Floats = (np.column_stack([places, costs]) - self._centre) / self._scale
        return scaled


def _trees(x: Floats, y: Floats) -> Values:
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(TREES, max_features=0.7, random_state=0).fit(x, y).estimators_

    def mean(rows: Floats) -> Floats:
        narrow = np.ascontiguousarray(rows, dtype=np.float32)
        # Tree by tree: the forest's own predict spends most of its time on starting a job for each of them.
        return np.asarray(np.mean([tree.predict(narrow, check_input=False) for tree in trees], axis=0))

    return mean
