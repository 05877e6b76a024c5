"""An architecture: one choice for every elastic dimension, as an immutable value known by its content."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anas_zoo.core.errors import SpaceError, nearest
from anas_zoo.core.files import canonical_json, sha256_bytes

_LISTS = ("width", "depth", "kernel_size", "expand_ratio")
_KEYS = ("resolution", *_LISTS)


# Far beyond any known network: a file that asks for more would only fill memory.
MAX_PARTS = 64
LIMITS = {"resolution": 4096, "width": 2**14, "depth": 64, "kernel_size": 63, "expand_ratio": 64}


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


@dataclass(frozen=True)
class Architecture:
    """One point of a search space; hashable, comparable, and without any link to its space.

    ``resolution`` is the side of the square input in pixels; ``width`` are the output channels of the stem,
    of each stage and of the head; the others have one value per stage.
    """

    resolution: int
    width: tuple[int, ...]
    depth: tuple[int, ...]
    kernel_size: tuple[int, ...]
    expand_ratio: tuple[int, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Architecture:
        """The architecture that :meth:`to_dict` wrote.

        Raises :class:`SpaceError` that lists every key that is missing, unknown or of wrong type.
        """
        if not isinstance(data, Mapping):
            raise SpaceError(
                f"an architecture is a mapping with the keys {', '.join(_KEYS)}; got {type(data).__name__}"
            )
        problems = [f"missing key {key!r}" for key in _KEYS if key not in data]
        problems += [f"unknown key {key!r}{nearest(str(key), _KEYS)}" for key in data if key not in _KEYS]
        if "resolution" in data and not _is_whole(data["resolution"], LIMITS["resolution"]):
            given = repr(data["resolution"])[:60]
            problems.append(
                f"resolution must be a positive integer up to {LIMITS['resolution']}, got {given}"
            )
        for key in _LISTS:
            value = data.get(key, [])
            most = LIMITS[key]
            whole = isinstance(value, list | tuple) and len(value) <= MAX_PARTS
            if not whole or not all(_is_whole(v, most) for v in value):
                given = repr(value)[:60]
                problems.append(f"{key} must be a list of positive integers up to {most}, got {given}")
        if problems:
            raise SpaceError("not an architecture: " + "; ".join(problems), violations=problems)
        return cls(int(data["resolution"]), *(tuple(data[key]) for key in _LISTS))

    def to_dict(self) -> dict[str, Any]:
        """Plain integers and lists, ready for JSON or YAML."""
        return {"resolution": self.resolution} | {key: list(getattr(self, key)) for key in _LISTS}

    @functools.cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON of :meth:`to_dict`."""
        return sha256_bytes(canonical_json(self.to_dict()).encode())[:12]

    @functools.cached_property
    def code(self) -> tuple[int, ...]:
        """All choices in one tuple: resolution, widths, depths, kernel sizes, expand ratios."""
        return (
            self.resolution, *self.width, *self.depth, *self.kernel_size, *self.expand_ratio
        )  # fmt: skip
