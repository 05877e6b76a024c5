"""The regressors that a predictor may be: all read codes, and skl2onnx converts all of them faithfully."""

from __future__ import annotations

from typing import Any

import numpy as np

from anas_zoo.core.errors import SearchError, nearest
from anas_zoo.space import SearchSpace

__all__ = ["AUTO", "MODELS", "make_model"]

AUTO = "auto"  # whichever of MODELS ranks best in cross-validation

# Two that need no smoothness, two that are smooth; of equally good ones the first is taken.
MODELS = ("random_forest", "gradient_boosting", "ridge", "svr")

MAX_LEAVES = 512  # of one tree of the forest: a file stays below ten MB however large the archive is


def make_model(name: str, space: SearchSpace, *, spread_pct: float, seed: int) -> Any:
    """An unfitted scikit-learn regressor from codes (N, genes) float32 to top-1 in percent (N,).

    Args:
        name: one of :data:`MODELS`.
        space: whose choices become the columns of the one-hot models.
        spread_pct: standard deviation of the top-1 to be fitted; what the SVR's penalties are measured in.
        seed: of everything random in it.

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
    columns = [np.array(choices, dtype=np.float32) for choices in space.genes.choices]
    one_hot = OneHotEncoder(categories=columns, sparse_output=False)
    if name == "ridge":
        return make_pipeline(one_hot, RidgeCV(np.logspace(-3, 4, 15)))
    return make_pipeline(
        one_hot, SVR(C=10 * spread_pct, epsilon=0.05 * spread_pct, gamma=0.5 / space.genes.count)
    )
