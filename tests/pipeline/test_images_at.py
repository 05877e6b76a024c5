from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.data import AugmentationRecipe, DigitsSource, FolderSource, tensors
from anas_zoo.pipeline.images_at import ImagesAt, ViewsAt


def test_further_views_show_what_the_images_themselves_show(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    slope = np.linspace(0, 255, 90)[None, :, None] + np.zeros((40, 1, 3))
    Image.fromarray(slope.astype(np.uint8)).save(tmp_path / "a" / "oblong.png")
    source = FolderSource(tmp_path)
    images = ImagesAt(source, [0])
    views = ViewsAt(images, 48, AugmentationRecipe(), 2, seed=0)
    for resolution in (24, 32, 48):
        own, further = views(resolution)
        assert torch.equal(own, images(resolution)[0])
        assert float((own - further).abs().max()) < 0.05  # from edge to edge it is 2


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
