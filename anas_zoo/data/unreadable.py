"""The limit on training images that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence

from anas_zoo.errors import DataError

__all__ = ["check_unreadable"]


def check_unreadable(reasons: Sequence[str], limit: int) -> None:
    """Raise :class:`DataError` when more images than ``limit`` could not be read, with the last reason."""
    if len(reasons) > limit:
        raise DataError(
            f"{len(reasons)} training images could not be read, {limit} may be skipped "
            f"(train.max_unreadable_images); the last: {reasons[-1]}"
        )
