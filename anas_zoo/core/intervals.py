"""How far a share of so many images can be trusted: its 95 % interval, computed and written in one way."""

from __future__ import annotations

import math

Z_95 = 1.959964  # 97.5 % quantile of the normal distribution


def interval_pct(share_pct: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share in percent of ``count`` independent images: (low, high) in percent.

    Wilson's score interval (E. B. Wilson, 1927, doi:10.1080/01621459.1927.10502953): it stays within 0 and
    100 and says something of 100 % too, where the share ± its standard error does not. Raises
    :class:`ValueError` for a count below 1.
    """
    if count < 1:
        raise ValueError(f"a share of {count} images has no interval")
    share, per = share_pct / 100.0, Z_95 * Z_95 / count
    middle = share + per / 2
    half = Z_95 * math.sqrt(share * (1.0 - share) / count + per / (4 * count))
    low, high = ((middle + sign * half) / (1.0 + per) for sign in (-1, 1))
    # The share itself is in it, also where 100 % would be above its end by a rounding error.
    return min(100.0 * max(low, 0.0), share_pct), max(100.0 * min(high, 1.0), share_pct)


def with_interval(share_pct: float, count: int | None, unit: str = " %") -> str:
    """A share as it is printed everywhere, with its interval: ``"96.66 % (94.2–98.1)"``.

    Args:
        share_pct: in percent.
        count: of how many images; None where nobody knows, and so no interval.
        unit: written after the share; "" in a column whose head says %.
    """
    shown = f"{share_pct:.2f}{unit}"
    if count is None:
        return shown
    low, high = interval_pct(share_pct, count)
    return f"{shown} ({low:.1f}–{high:.1f})"
