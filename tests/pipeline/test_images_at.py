from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.data import DigitsSource, tensors
from anas_zoo.errors import DataError
from anas_zoo.pipeline.images_at import ImagesAt, spread


@given(st.integers(1, 50), st.integers(1, 60))
def test_spread_is_even_and_in_order(there: int, wanted: int) -> None:
    found = spread(range(there), wanted)
    assert len(found) == min(there, wanted)
    assert found == sorted(set(found))
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_images_that_do_not_fit_in_memory_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = DigitsSource()
    whole = ImagesAt(source, range(600))
    expected = whole(8)
    assert torch.equal(torch.cat(list(whole.batches(8))), expected)
    monkeypatch.setattr(tensors, "MAX_BYTES_IN_MEMORY", 300 * 3 * 8 * 8 * 4)
    large = ImagesAt(source, range(600))
    with pytest.raises(DataError, match="use fewer images"):
        large(8)
    assert torch.equal(torch.cat(list(large.batches(8))), expected)
    some = large.that_fit(8)
    assert torch.equal(some(8), expected[::2])
    assert torch.equal(some.labels, whole.labels[::2])
    assert torch.equal(large.first(5)(8), expected[:5])
