"""Fit of milliseconds to kinds of work: non-negative, and careful about short and long networks alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["fit_coefficients"]

Values = npt.NDArray[np.float64]

# Of the mean squared relative error, per unit of a coefficient's mean share of the latency, squared.
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
FOLDS = 10


def fit_coefficients(work: Values, latency_ms: Values, rng: np.random.Generator) -> tuple[Values, float]:
    """Milliseconds per unit of each kind of work, none negative, and the penalty that was chosen.

    Least squares of the *relative* error (a percent of a short latency weighs as much as a percent of a long
    one) with a ridge penalty that keeps kinds of work which always come together from taking each other's
    time; the penalty is the one with the least error in cross-validation on these networks alone.

    Args:
        work: (networks, kinds).
        latency_ms: (networks,) measured.
        rng: deals the networks into folds.
    """
    relative = work / latency_ms[:, None]
    folds = rng.permutation(len(work)) % min(FOLDS, len(work))
    scores = []
    for penalty in PENALTIES:
        errors = np.concatenate(
            [
                relative[folds == fold] @ _solve(relative[folds != fold], penalty) - 1.0
                for fold in range(folds.max() + 1)
            ]
        )
        scores.append(float(np.mean(errors**2)))
    penalty = PENALTIES[int(np.argmin(scores))]
    return _solve(relative, penalty), penalty


def _solve(relative: Values, penalty: float) -> Values:
    """Non-negative x that makes ``relative`` @ x as close to 1 as the penalty lets it."""
    from scipy.optimize import nnls

    scale = relative.mean(axis=0)
    used = scale > 0
    # Scaled so that a coefficient is the mean share of the latency that its kind of work takes.
    shares = relative[:, used] / scale[used]
    count, kinds = shares.shape
    rows = np.concatenate([shares, np.sqrt(penalty * count) * np.eye(kinds)])
    wanted = np.concatenate([np.ones(count), np.zeros(kinds)])
    found = np.zeros(len(scale))
    found[used] = nnls(rows, wanted, maxiter=100 * kinds)[0] / scale[used]
    return found
