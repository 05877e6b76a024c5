"""An architecture: one choice for every elastic dimension, as an immutable value known by its content."""

from __future__ import annotations

import functools
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from anas_zoo.core.errors import SpaceError, nearest
from anas_zoo.core.files import canonical_json, sha256_bytes

_LISTS = ("width", "depth", "kernel_size", "expand_ratio")
_PER_BLOCK = ("kernel_size", "expand_ratio")  # these may differ between the blocks of a stage
_KEYS = ("resolution", *_LISTS)


# Far beyond any known network: a file that asks for more would only fill memory.
MAX_PARTS = 64
LIMITS = {"resolution": 4096, "width": 2**14, "depth": 64, "kernel_size": 63, "expand_ratio": 64}
RATIO_DIGITS = 2  # of an expand ratio after the point

T = TypeVar("T", int, float)
KernelSizes: TypeAlias = int | tuple[int, ...]  # of a stage: of all its blocks, or of each present one
ExpandRatios: TypeAlias = float | tuple[float, ...]


def _is_whole(value: object, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def is_ratio(value: object, most: float = LIMITS["expand_ratio"]) -> bool:
    """Whether ``value`` can be an expand ratio: a positive number of at most two digits after the point."""
    if isinstance(value, float):
        return 0 < value <= most and round(value, RATIO_DIGITS) == value
    return _is_whole(value, most)


def plain_number(value: float) -> float:
    """``value`` as an integer where it is whole."""
    return int(value) if value == int(value) else value


def of_blocks(value: T | tuple[T, ...], depth: int) -> tuple[T, ...]:
    """What a stage of ``depth`` blocks says of its blocks, one value per block."""
    return value if isinstance(value, tuple) else (value,) * depth


def _canonical(value: float | list[float] | tuple[float, ...]) -> float | tuple[float, ...]:
    """One number where all blocks have the same, so that an architecture has one form."""
    if not isinstance(value, list | tuple):
        return plain_number(value)
    values = tuple(map(plain_number, value))
    return values[0] if len(set(values)) == 1 else values


@dataclass(frozen=True)
class Architecture:
    """One point of a search space; hashable, comparable, and without any link to its space.

    ``resolution`` is the side of the square input in pixels; ``width`` are the output channels of the stem,
    of each stage and of the head; the others have one value per stage. Where the blocks of a stage differ,
    its
    ``kernel_size`` or ``expand_ratio`` is a tuple of one value per block; equal ones become one number.
    """

    resolution: int
    width: tuple[int, ...]
    depth: tuple[int, ...]
    kernel_size: tuple[KernelSizes, ...]
    expand_ratio: tuple[ExpandRatios, ...]

    def __post_init__(self) -> None:
        for key in _PER_BLOCK:
            values = getattr(self, key)
            if any(type(value) is not int for value in values):
                object.__setattr__(self, key, tuple(map(_canonical, values)))

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
            problems += _list_problems(key, data.get(key, []))
        if not problems:
            problems = _block_problems(data)
        if problems:
            raise SpaceError("not an architecture: " + "; ".join(problems), violations=problems)
        return cls(int(data["resolution"]), *(tuple(data[key]) for key in _LISTS))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists, ready for JSON or YAML."""
        plain: dict[str, Any] = {"resolution": self.resolution}
        for key in _LISTS:
            plain[key] = [list(v) if isinstance(v, tuple) else v for v in getattr(self, key)]
        return plain

    @functools.cached_property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical JSON of :meth:`to_dict`."""
        return sha256_bytes(canonical_json(self.to_dict()).encode())[:12]

    @functools.cached_property
    def code(self) -> tuple[Any, ...]:
        """All choices in one tuple: resolution, widths, depths, kernel sizes, expand ratios."""
        return (
            self.resolution, *self.width, *self.depth, *self.kernel_size, *self.expand_ratio
        )  # fmt: skip

    @functools.cached_property
    def packed_blocks(self) -> bytes:
        """As ``code``, but kernel sizes and expand ratios once for every block; float64, for numpy to read.

        Raises :class:`SpaceError` for a list of another length than its stage is deep.
        """
        listed = array("d", (self.resolution, *self.width, *self.depth))
        for values in (self.kernel_size, self.expand_ratio):
            for value, depth in zip(values, self.depth, strict=True):
                if not isinstance(value, tuple):
                    listed.extend((value,) * depth)
                elif len(value) == depth:
                    listed.extend(value)
                else:
                    raise SpaceError(f"architecture {self.id} has {len(value)} values for {depth} blocks")
        return listed.tobytes()


def _list_problems(key: str, value: Any) -> list[str]:
    """What is wrong with the list of one key."""
    most = LIMITS[key]
    ratio = key == "expand_ratio"

    def fits(item: object, *, nested: bool = True) -> bool:
        if nested and key in _PER_BLOCK and isinstance(item, list | tuple):
            return 0 < len(item) <= MAX_PARTS and all(fits(one, nested=False) for one in item)
        return is_ratio(item) if ratio else _is_whole(item, most)

    if isinstance(value, list | tuple) and len(value) <= MAX_PARTS and all(map(fits, value)):
        return []
    what = "positive numbers of at most two digits after the point" if ratio else "positive integers"
    lists = " (or lists of them, one value per block)" if key in _PER_BLOCK else ""
    return [f"{key} must be a list of {what} up to {most}{lists}, got {repr(value)[:60]}"]


def _block_problems(data: Mapping[str, Any]) -> list[str]:
    """Lists of blocks that are not as long as their stage is deep."""
    return [
        f"{key}[{stage}] has {len(value)} values for {depth} blocks"
        for key in _PER_BLOCK
        for stage, (value, depth) in enumerate(zip(data[key], data["depth"], strict=False))
        if isinstance(value, list | tuple) and len(value) != depth
    ]
