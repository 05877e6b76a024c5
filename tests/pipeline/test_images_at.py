from __future__ import annotations

import pytest
import torch

from anas_zoo.data import DigitsSource, tensors
from anas_zoo.errors import DataError
from anas_zoo.pipeline.images_at import ImagesAt


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
    assert some.labels.bincount().tolist() == [30] * 10
    assert some(8).shape == (300, 3, 8, 8)
    assert torch.equal(some(8), large.that_fit(8)(8))


def test_some_images_are_of_all_classes() -> None:
    """Those of a folder lie class by class, so the first ones are all of one."""
    source = DigitsSource()
    by_class = sorted(range(len(source.labels)), key=lambda index: source.labels[index])
    assert sorted(ImagesAt(source, by_class).some(10).labels.tolist()) == list(range(10))
