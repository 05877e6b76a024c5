"""The random generators that every library shares, and that none of ours may touch."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


def _states() -> tuple[object, str, bytes]:
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002
    return random.getstate(), repr(numpys), torch.get_rng_state().numpy().tobytes()


@contextlib.contextmanager
def untouched() -> Iterator[None]:
    """Fail unless python's, numpy's and torch's global generators end where they were."""
    before = _states()
    yield
    names = ("python", "numpy", "torch")
    changed = [name for name, old, new in zip(names, before, _states(), strict=True) if old != new]
    assert not changed, f"the global generators of {changed} were drawn from"
