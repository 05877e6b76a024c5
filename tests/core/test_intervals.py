from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from anas_zoo.core.intervals import interval_pct, with_interval


@given(counts=st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    hits, images = counts
    low, high = interval_pct(100 * hits / images, images)
    known = binomtest(hits, images).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((100 * known.low, 100 * known.high), abs=1e-4)
    assert 0 <= low <= 100 * hits / images <= high <= 100


def test_the_interval_of_all_images_ends_at_100_percent() -> None:
    """An error bar of 100 % must not have a negative length."""
    for images in range(1, 2000):
        assert interval_pct(100.0, images)[1] == 100.0
        assert interval_pct(0.0, images)[0] == 0.0


def test_how_a_share_is_written() -> None:
    assert with_interval(96.65738161559888, 359) == "96.66 % (94.2–98.1)"
    assert with_interval(100, 30, unit="") == "100.00 (88.6–100.0)"
    assert with_interval(77.3, None, unit="") == "77.30"
    with pytest.raises(ValueError, match="0 images"):
        interval_pct(50, 0)
