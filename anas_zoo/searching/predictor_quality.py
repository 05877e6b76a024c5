"""How good predictions are: the ranking, the error, and how much too high they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PredictionQuality", "measure_predictions"]


@dataclass(frozen=True)
class PredictionQuality:
    """Predictions compared with measured accuracies.

    Attributes:
        archs: how many architectures were compared.
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
