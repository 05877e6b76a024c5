"""Fit of a latency model: which subnets to measure, and milliseconds per unit of work."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.space import SearchSpace

Codes = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

TRIES = 100  # redraws of architectures that were there already, before giving up
# Of the mean squared relative error, per unit of a coefficient's mean share of the latency, squared.
PENALTY = 1e-4


def spread_codes(space: SearchSpace, count: int, rng: np.random.Generator, *, apart_from: Codes) -> Codes:
    """Architectures to measure, (count, genes): none of ``apart_from`` and all different.

    Half are uniform draws, as a search meets them; half are spread over the whole range of cost.
    Raises :class:`ProfileError` for more than the space has.
    """
    wanted = len(apart_from) + count
    if wanted > space.size:
        raise ProfileError(f"{space.name!r} has {space.size} architectures, {wanted} were asked for")
    found = apart_from
    for _ in range(TRIES):
        missing = wanted - len(found)
        drawn = [space.sample_codes(rng, (missing + 1) // 2), space.tilted_codes(rng, missing // 2)]
        both = np.concatenate([found, *drawn])
        _, first = np.unique(both, axis=0, return_index=True)
        found = both[np.sort(first)]
        if len(found) == wanted:
            return found[len(apart_from) :]
    raise ProfileError(f"{space.name!r} gave {len(found)} different architectures of {wanted}; ask for fewer")


def fit_coefficients(work: Values, latency_ms: Values) -> Values:
    """Milliseconds per unit of each kind of work, (kinds,), none negative.

    Least squares of the *relative* error, so that a percent of a short latency weighs as much as a percent of
    a long one, with a small ridge penalty: kinds of work that always come together share their time.

    Args:
        work: (networks, kinds).
        latency_ms: (networks,) measured.
    """
    from scipy.optimize import nnls

    relative = work / latency_ms[:, None]
    count, kinds = work.shape
    # Scaled so that a coefficient is the mean share of the latency that its kind of work takes.
    scale = relative.mean(axis=0)
    scale[scale == 0] = np.inf  # a kind that the space lacks takes no time
    rows = np.concatenate([relative / scale, np.sqrt(PENALTY * count) * np.eye(kinds)])
    wanted = np.concatenate([np.ones(count), np.zeros(kinds)])
    found: Values = nnls(rows, wanted, maxiter=100 * kinds)[0] / scale
    return found
