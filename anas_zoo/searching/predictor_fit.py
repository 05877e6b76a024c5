"""Fitting an accuracy predictor: choose a model, test it on architectures it never saw, fit it on all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import SearchError, nearest
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import Bar
from anas_zoo.space import Architecture, SearchSpace

AUTO = "auto"  # whichever of MODELS ranks best in cross-validation

# Two that need no smoothness, two that are smooth; of equally good ones the first is taken.
MODELS = ("random_forest", "gradient_boosting", "ridge", "svr")

MAX_LEAVES = 512  # of one tree of the forest: a file stays below ten MB however large the archive is
MIN_FIT = 15  # architectures; three a fold of the cross-validation
MIN_HELD_OUT = 5
FOLDS = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictionQuality:
    """Predictions compared with measured accuracies of ``archs`` architectures.

    Attributes:
        kendall_tau: agreement of the two rankings (tau-b: ties count for neither), from -1 to 1; None where
            either side says the same of all architectures.
        rmse_pct: root of the mean squared error, in points of top-1.
        bias_pct: mean of predicted minus measured, in points of top-1; positive is too optimistic.
    """

    archs: int
    kendall_tau: float | None
    rmse_pct: float
    bias_pct: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class FittedPredictor:
    """A predictor and what is known of it.

    Attributes:
        regressor: the scikit-learn model, fitted on *all* of ``archs``.
        model: its name in :data:`MODELS`.
        held_out: quality on the held-out architectures of the same model, fitted without them.
        validation: quality of every model that was tried, out of fold within the other architectures.
    """

    space: SearchSpace
    regressor: Any
    model: str
    archs: tuple[Architecture, ...]
    held_out: PredictionQuality
    validation: dict[str, PredictionQuality]
    seed: int

    def __call__(self, codes: npt.NDArray[np.int64]) -> Floats:
        """Predicted top-1 in percent of codes (N, genes), (N,)."""
        return _predict(self.regressor, codes)


def fit_predictor(
    space: SearchSpace,
    archs: Sequence[Architecture],
    top1_pct: Sequence[float],
    *,
    held_out: float = 0.2,
    model: str = AUTO,
    seed: int = 0,
) -> FittedPredictor:
    """Fit a predictor on N architectures and their measured top-1 in percent, N numbers.

    A share ``held_out`` of the architectures, above 0 and at most 0.5, spread evenly over the accuracies, is
    set aside. Among the others, cross-validation chooses the model of :data:`MODELS` that ranks best, unless
    ``model`` names one; that model, fitted on them, is reported on those set aside, and only then fitted
    again on all. An architecture that occurs several times counts once, with its mean. Same arguments, same
    predictor.

    Raises :class:`SearchError` when there are too few architectures, when all are equally accurate, or for
    an unknown model or share; :class:`SpaceError` for an architecture outside the space.
    """
    if not 0 < held_out <= 0.5:
        raise SearchError(f"the held-out share is above 0 and at most 0.5, not {held_out:g}")
    unique, measured = mean_by_arch(archs, top1_pct)
    aside = _aside(len(unique), held_out)
    if len(unique) - aside < MIN_FIT:
        enough = next(n for n in itertools.count(len(unique)) if n - _aside(n, held_out) >= MIN_FIT)
        raise SearchError(
            f"{len(unique)} different architectures are too few for a predictor: it takes {enough}, of which "
            f"{_aside(enough, held_out)} are held out; evaluate more: ",
            Call("search", "RUN", evaluations=200, resume=True),
        )
    if np.ptp(measured) == 0:
        raise SearchError(
            f"all {len(unique)} architectures have the same top-1, {measured[0]:g} %: there is nothing to "
            "predict; train the supernet longer or score on more images"
        )
    codes = space.encode(unique)
    rng = np.random.default_rng(seed)
    test = _spread_over(measured, aside, rng)
    fit = np.setdiff1d(np.arange(len(unique)), test)
    names = MODELS if model == AUTO else (model,)
    validation: dict[str, PredictionQuality] = {}
    with Bar("fit", total=len(names) + 1) as bar:
        folds = rng.permutation(len(fit)) % FOLDS
        for name in names:
            bar.describe(f"fit: try {name}")
            validation[name] = _cross_validated(name, space, codes[fit], measured[fit], folds, seed)
            bar.advance()
        best = max(names, key=lambda name: _rank_key(validation[name]))
        bar.describe(f"fit: {best}")
        tested = _fitted(best, space, codes[fit], measured[fit], seed)
        quality = measure_predictions(_predict(tested, codes[test]), measured[test])
        final = _fitted(best, space, codes, measured, seed)
        bar.advance()
    return FittedPredictor(space, final, best, tuple(unique), quality, validation, seed)


def make_model(name: str, space: SearchSpace, *, spread_pct: float, seed: int) -> Any:
    """An unfitted scikit-learn regressor from codes (N, genes) float32 to top-1 in percent (N,).

    ``space``: whose choices become the columns of the one-hot models; ``spread_pct``: standard deviation of
    the top-1 to be fitted, what the SVR's penalties are measured in.
    Raises :class:`SearchError` naming the models there are.
    """
    if name not in MODELS:
        known = ", ".join((AUTO, *MODELS))
        raise SearchError(f"no predictor model {name!r}{nearest(name, (AUTO, *MODELS))}; models: {known}")
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.svm import SVR

    if name == "random_forest":
        return RandomForestRegressor(200, max_leaf_nodes=MAX_LEAVES, random_state=seed, n_jobs=1)
    if name == "gradient_boosting":
        # Slow learning on parts of the archive: evaluations are noisy, and an archive is small.
        return GradientBoostingRegressor(
            n_estimators=300, max_depth=3, learning_rate=0.05, subsample=0.7, random_state=seed
        )
    # One column a choice and not one a gene: the gain of a choice need not be proportional to its value.
    columns = [np.array(choices, dtype=np.float32) for choices in space.genes.states]
    one_hot = OneHotEncoder(categories=columns, sparse_output=False)
    if name == "ridge":
        return make_pipeline(one_hot, RidgeCV(np.logspace(-3, 4, 15)))
    return make_pipeline(
        one_hot, SVR(C=10 * spread_pct, epsilon=0.05 * spread_pct, gamma=0.5 / space.genes.count)
    )


def measure_predictions(
    predicted: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]
) -> PredictionQuality:
    """Compare top-1 in percent, both (N,), N at least 1."""
    from scipy.stats import kendalltau

    error = predicted - measured
    ranked = np.ptp(predicted) > 0 and np.ptp(measured) > 0  # scipy gives NaN otherwise
    return PredictionQuality(
        archs=len(measured),
        kendall_tau=float(kendalltau(predicted, measured).statistic) if ranked else None,
        rmse_pct=float(np.sqrt(np.mean(error**2))),
        bias_pct=float(np.mean(error)),
    )


def mean_by_arch(
    archs: Sequence[Architecture], top1_pct: Sequence[float]
) -> tuple[list[Architecture], Floats]:
    """Each architecture once, by its id, with the mean of its accuracies: (list of N, (N,) percent).

    So that no architecture is both fitted on and held out, and the order of an archive does not matter.
    Raises :class:`SearchError` for an accuracy that is not a percentage.
    """
    found: dict[Architecture, list[float]] = {}
    for arch, top1 in zip(archs, top1_pct, strict=True):
        if not 0 <= top1 <= 100:  # a NaN too
            raise SearchError(f"architecture {arch.id} has top-1 {top1:g} %; it must be between 0 and 100")
        found.setdefault(arch, []).append(top1)
    unique = sorted(found, key=lambda arch: arch.id)
    # Sorted, as a sum of floats depends on its order.
    return unique, np.array([float(np.mean(sorted(found[arch]))) for arch in unique])


def _aside(count: int, held_out: float) -> int:
    """How many of ``count`` architectures are held out."""
    return max(MIN_HELD_OUT, round(held_out * count))


def _spread_over(measured: Floats, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """``count`` indices, one drawn from each of as many equal parts of the order of accuracies."""
    parts = np.array_split(np.argsort(measured, kind="stable"), count)
    return np.array([part[rng.integers(len(part))] for part in parts])


def _cross_validated(
    name: str,
    space: SearchSpace,
    codes: npt.NDArray[np.int64],
    measured: Floats,
    folds: npt.NDArray[np.int64],
    seed: int,
) -> PredictionQuality:
    """Quality of predictions that each fold got from a model fitted on the other folds."""
    predicted = np.empty_like(measured)
    for fold in range(FOLDS):
        out = folds == fold
        predicted[out] = _predict(_fitted(name, space, codes[~out], measured[~out], seed), codes[out])
    return measure_predictions(predicted, measured)


def _rank_key(quality: PredictionQuality) -> tuple[float, float]:
    """The better, the larger: a search and a sampler only compare architectures, so the ranking counts."""
    tau = -1.0 if quality.kendall_tau is None else quality.kendall_tau
    return tau, -quality.rmse_pct


def _fitted(name: str, space: SearchSpace, codes: npt.NDArray[np.int64], measured: Floats, seed: int) -> Any:
    # A part of an archive may be all equal where the whole is not.
    spread = float(measured.std()) or 1.0
    return make_model(name, space, spread_pct=spread, seed=seed).fit(codes.astype(np.float32), measured)


def _predict(regressor: Any, codes: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(regressor.predict(codes.astype(np.float32)), dtype=np.float64).reshape(-1)
