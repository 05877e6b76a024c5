"""Which subnets to measure for a latency model: a designed set to fit on, an independent one to judge by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anas_zoo.core.errors import ProfileError
from anas_zoo.space import SearchSpace

__all__ = ["designed_codes", "held_out_codes", "least_designed"]

Codes = npt.NDArray[np.int64]

TILT = (
    4.0  # the largest choice of a gene is e⁴ times as likely as the smallest at the dear end, and vice versa
)
TRIES = 100  # redraws of rows that were there already, before giving up


def least_designed(space: SearchSpace) -> int:
    """How few designed subnets still hold every choice of every gene twice, the two ends among them."""
    return 2 + 2 * max(len(choices) for choices in space.genes.choices)


def designed_codes(space: SearchSpace, count: int, rng: np.random.Generator) -> Codes:
    """The subnets to fit on, (count, genes), all different.

    The two ends of the space; then, half and half, a latin hypercube over the choices, in which every
    choice of every gene is met equally often, and one whose rows lean towards small or large choices by
    degrees, so that they spread over the whole range of cost (independent draws crowd in its middle).

    Raises :class:`ProfileError` for fewer than :func:`least_designed`, or more than the space has.
    """
    least = least_designed(space)
    if count < least:
        raise ProfileError(
            f"{count} subnets are too few to meet every choice of {space.name!r}; give at least {least}"
        )
    _check_size(space, count)
    ends = space.encode([space.smallest, space.largest])
    found = _fill(space, ends, (count - 2 + 1) // 2, rng, spread=False)
    return _fill(space, found, count - len(found), rng, spread=True)


def held_out_codes(space: SearchSpace, count: int, rng: np.random.Generator, *, apart_from: Codes) -> Codes:
    """The subnets to judge by, (count, genes): none of ``apart_from``, all different.

    The first half (rounded up) are uniform draws, as a search meets them; the others are spread over cost.
    Raises :class:`ProfileError` for fewer than 2, or more than the space has.
    """
    if count < 2:
        raise ProfileError(f"an error needs at least 2 held-out subnets, got {count}")
    _check_size(space, len(apart_from) + count)
    uniform = (count + 1) // 2
    found = _fill(space, apart_from, uniform, rng, spread=False)
    found = _fill(space, found, count - uniform, rng, spread=True)
    return found[len(apart_from) :]


def _check_size(space: SearchSpace, count: int) -> None:
    if count > space.size:
        raise ProfileError(f"{space.name!r} has {space.size} architectures, {count} were asked for")


def _fill(space: SearchSpace, found: Codes, count: int, rng: np.random.Generator, *, spread: bool) -> Codes:
    """``found`` and ``count`` new rows after it."""
    wanted = len(found) + count
    for _ in range(TRIES):
        missing = wanted - len(found)
        if missing == 0:
            return found
        both = np.concatenate([found, _draw(space, missing, rng, spread=spread)])
        _, first = np.unique(both, axis=0, return_index=True)
        found = both[np.sort(first)]
    raise ProfileError(f"{space.name!r} gave {len(found)} different architectures of {wanted}; ask for fewer")


def _draw(space: SearchSpace, count: int, rng: np.random.Generator, *, spread: bool) -> Codes:
    """A latin hypercube of ``count`` rows, leaning from small to large by row where they shall ``spread``."""
    places = np.stack([rng.permutation(count) for _ in range(space.genes.count)], axis=1)
    unit = (places + rng.random(places.shape)) / count  # one of `count` equal parts of [0, 1) for each row
    tilts = np.linspace(-TILT, TILT, count) if spread and count > 1 else np.zeros(count)
    columns = []
    for choices, column in zip(space.genes.choices, unit.T, strict=True):
        chances = np.exp(tilts[:, None] * np.linspace(0.0, 1.0, len(choices)))
        below = np.cumsum(chances, axis=1) / chances.sum(axis=1, keepdims=True)
        index = (column[:, None] >= below[:, :-1]).sum(axis=1)
        columns.append(np.asarray(choices)[index])
    return np.stack(columns, axis=1).astype(np.int64)
