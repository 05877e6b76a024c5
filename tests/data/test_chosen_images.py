from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numbered_images import write_numbered
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.data import (
    AugmentationRecipe,
    DigitsSource,
    FolderSource,
    ImagesAt,
    ViewsAt,
    balanced_choice,
    chosen_images,
)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 70), st.integers(0, 3), st.data())
def test_a_choice_is_balanced_whatever_the_order(
    labels: list[int], count: int, seed: int, data: st.DataObject
) -> None:
    every = np.array(labels)
    indices = data.draw(st.lists(st.integers(0, len(labels) - 1), unique=True, min_size=1))
    chosen = balanced_choice(indices, every, count, [seed])
    assert len(chosen) == len(set(chosen)) == min(count, len(indices))
    assert set(chosen) <= set(indices)
    there = np.bincount(every[indices], minlength=5)
    taken = np.bincount(every[chosen], minlength=5) if chosen else np.zeros(5, int)
    # A class has fewer than another only where it has no more.
    assert all(taken[label] == there[label] for label in range(5) if taken[label] < taken.max() - 1)
    assert chosen == balanced_choice(indices, every, count, [seed])
    assert chosen == balanced_choice(indices, every, None, [seed])[:count]


def test_the_seed_decides_the_choice() -> None:
    labels = DigitsSource().labels
    first, second = (balanced_choice(range(len(labels)), labels, 50, [seed]) for seed in (0, 1))
    assert first != second


def test_further_views_show_what_the_images_themselves_show(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    slope = np.linspace(0, 255, 90)[None, :, None] + np.zeros((40, 1, 3))
    Image.fromarray(slope.astype(np.uint8)).save(tmp_path / "a" / "oblong.png")
    images = ImagesAt(FolderSource(tmp_path), [0])
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
    monkeypatch.setattr(chosen_images, "MAX_BYTES_IN_MEMORY", 300 * 3 * 8 * 8 * 4)
    large = ImagesAt(source, range(600))
    with pytest.raises(DataError, match="use fewer images"):
        large(8)
    assert torch.equal(torch.cat(list(large.batches(8))), expected)
    some = large.that_fit(8)
    assert some.labels.bincount().tolist() == [30] * 10
    assert torch.equal(some(8), large.that_fit(8)(8))


def test_resolutions_that_do_not_all_fit_in_memory_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    images, made = ImagesAt(DigitsSource(), range(20)), list[int]()
    real = chosen_images.eval_tensor

    def counted(*args: Any) -> torch.Tensor:
        made.append(args[3])
        return real(*args)

    monkeypatch.setattr(chosen_images, "eval_tensor", counted)
    monkeypatch.setattr(chosen_images, "MAX_BYTES_IN_MEMORY", 20 * 3 * 4 * (8**2 + 10**2))
    first = images(8)
    assert images(8) is first
    images(10)
    assert images(8) is first
    images(12)
    assert torch.equal(images(8), first)
    assert made == [8, 10, 12, 8]


def test_images_to_calibrate_on_are_read_once_and_are_those_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_numbered(tmp_path, 12, unreadable=(3,))
    seen: list[int] = []
    real = source.image

    def image(index: int) -> Image.Image:
        seen.append(index)
        return real(index)

    monkeypatch.setattr(source, "image", image)
    images = ImagesAt.readable(source, [5, 3, 9], 8)
    assert torch.equal(images(8), ImagesAt(write_numbered(tmp_path / "good", 12), [5, 9])(8))
    assert images.labels.tolist() == source.labels[[5, 9]].tolist()
    assert seen == [5, 3, 9]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("1 of 3 calibration images cannot be read and are left out: ")
    with pytest.raises(DataError, match=r"^none of 1 calibration images can be read; the last: .*003\.png"):
        ImagesAt.readable(source, [3], 8)
