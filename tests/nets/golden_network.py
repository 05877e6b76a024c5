"""The golden facts, and checkpoint files in the authors' format with golden or with tiny tensors."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import types
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_FOLDER = Path(__file__).parents[1] / "golden"
FACTS: list[dict[str, Any]] = json.loads((_FOLDER / "attentivenas.json").read_text())
SHAPES: dict[str, list[int]] = dict(json.loads((_FOLDER / "authors_state_dict.json").read_text()))


def draw(name: str, shape: list[int]) -> Tensor:
    """The golden tensor of that name, in float64 and then cast (see tests/golden/README.md)."""
    kind = name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return torch.zeros((), dtype=torch.int64)
    n = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if kind == "running_mean":
        value = 0.1 * n
    elif kind == "running_var":
        value = 1 + 0.1 * np.abs(n)
    elif len(shape) >= 2:
        value = n * np.sqrt(2 / np.prod(shape[1:]))
    else:
        value = 0.1 * n + (kind == "weight")
    return torch.from_numpy(np.asarray(value, dtype=np.float32))


@functools.cache
def golden_state() -> dict[str, Tensor]:
    """The authors' state dict with the golden weights; do not change it."""
    return {name: draw(name, shape) for name, shape in SHAPES.items()}


def hollow_state() -> dict[str, Any]:
    """All 1,468 tensors in their shapes, each one stored number seen many times: a file of kilobytes."""
    return {
        name: torch.zeros((), dtype=torch.int64)
        if name.endswith("num_batches_tracked")
        else torch.full((), 0.5).expand(shape)
        for name, shape in SHAPES.items()
    }


def golden_images(seed: int, count: int, side: int) -> Tensor:
    """Standard normal images (count, 3, side, side) of the golden facts."""
    rs = np.random.RandomState(seed)
    return torch.from_numpy(rs.standard_normal((count, 3, side, side)).astype(np.float32))


@contextlib.contextmanager
def authors_config() -> Iterator[type]:
    """A class as the authors pickled it (a dict subclass with attributes), importable only inside."""
    package, module = types.ModuleType("utils"), types.ModuleType("utils.config")

    class Config(dict[str, Any]):
        pass

    Config.__module__, Config.__qualname__ = "utils.config", "Config"
    module.Config = Config  # type: ignore[attr-defined]
    added = {"utils": package, "utils.config": module}
    assert not added.keys() & sys.modules.keys()
    sys.modules.update(added)
    try:
        yield Config
    finally:
        for name in added:
            del sys.modules[name]
