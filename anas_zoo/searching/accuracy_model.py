"""A model of accuracy from few evaluations: what the surrogate search asks about all other architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anas_zoo.searching.gaussian_process import GaussianProcess
from anas_zoo.searching.problem import Codes, Problem

Floats = npt.NDArray[np.float64]

TREES = 100

Values = Callable[[Floats], Floats]


class AccuracyModel:
    """The mean of a Gaussian process and a forest of extremely randomised trees, or one (``models``).

    The process has a length scale of its own per gene (automatic relevance determination, Rasmussen and
    Williams 2006, section 5.1), which finds the few dimensions that matter; the forest (Geurts et al. 2006)
    follows what is not smooth. What each does alone is in benchmarks/results/search_efficiency.md. Both see
    the place of each choice among its gene's and the logarithm of each cost.

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
        self._spans = np.array([max(len(values) - 1, 1) for values in states], dtype=np.float64)
        raw = self._raw(codes)
        self._centre, self._scale = raw.mean(axis=0), raw.std(axis=0)
        self._scale[self._scale == 0] = 1.0
        x = (raw - self._centre) / self._scale
        self._mean, self._spread = float(top1_pct.mean()), float(top1_pct.std()) or 1.0
        y = (top1_pct - self._mean) / self._spread
        fits: dict[str, Callable[[Floats, Floats], Values]] = {"process": GaussianProcess, "trees": _trees}
        self._models = [fits[name](x, y) for name in models]

    def __call__(self, codes: Codes) -> Floats:
        """Predicted top-1 in percent, (N,)."""
        x = (self._raw(codes) - self._centre) / self._scale
        mean = np.mean([model(x) for model in self._models], axis=0)
        return np.asarray(mean * self._spread + self._mean, dtype=np.float64)

    def _raw(self, codes: Codes) -> Floats:
        costs = self._problem.costs(codes)
        places = (self._problem.space.genes.indices(codes) / self._spans)[:, self._elastic]
        names = [name for name in self._problem.cost_names if name != "size_bytes"]  # it follows parameters
        return np.column_stack([places, *(np.log(np.maximum(costs[name], 1e-9)) for name in names)])


def _trees(x: Floats, y: Floats) -> Values:
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(TREES, max_features=0.7, random_state=0).fit(x, y).estimators_

    def mean(rows: Floats) -> Floats:
        narrow = np.ascontiguousarray(rows, dtype=np.float32)
        # Tree by tree: the forest's own predict spends most of its time on starting a job for each of them.
        return np.asarray(np.mean([tree.predict(narrow, check_input=False) for tree in trees], axis=0))

    return mean
