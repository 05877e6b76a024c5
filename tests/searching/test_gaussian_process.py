"""The Gaussian process: scikit-learn's predictions, and a gradient that is one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from anas_zoo.searching.gaussian_process import FITTED_ON, GaussianProcess, _cost


def made_up(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + 0.3 * x[:, 2] * x[:, 3] + 0.05 * rng.normal(size=rows)
    return x, (y - y.mean()) / y.std()


def test_the_gradient_is_that_of_the_likelihood() -> None:
    x, y = made_up(30)
    for seed in range(3):
        log = np.random.default_rng(seed).normal(size=9)
        error = check_grad(lambda at: _cost(at, x, y)[0], lambda at: _cost(at, x, y)[1], log)
        assert error < 1e-4 * np.linalg.norm(_cost(log, x, y)[1])


@pytest.mark.parametrize("rows", [60, FITTED_ON + 50])
def test_predictions_are_those_of_scikit_learn(rows: int) -> None:
    x, y = made_up(rows)
    process, others = GaussianProcess(x, y), made_up(40, seed=1)[0]
    amplitude, *lengths, slope, noise = np.exp(process._log)
    kernel = ConstantKernel(amplitude) * RBF(lengths) + ConstantKernel(slope) * DotProduct(0.0, "fixed")
    fixed = GaussianProcessRegressor(kernel + WhiteKernel(noise), optimizer=None, alpha=1e-10).fit(x, y)
    assert process(others) == pytest.approx(fixed.predict(others), abs=1e-8)
    chosen = np.random.default_rng(0).permutation(rows)[:FITTED_ON]
    theirs = GaussianProcessRegressor(fixed.kernel, optimizer=None).fit(x[chosen], y[chosen])
    own = -_cost(process._log, x[chosen], y[chosen])[0]
    assert own == pytest.approx(theirs.log_marginal_likelihood_value_)


def test_it_learns_the_function_and_is_the_same_each_time() -> None:
    x, y = made_up(150)
    others, true = made_up(100, seed=1)
    process = GaussianProcess(x, y)
    assert np.sqrt(np.mean((process(others) - true) ** 2)) < 0.2
    assert (GaussianProcess(x, y)(others) == process(others)).all()
