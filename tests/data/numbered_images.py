"""A folder of one-coloured images whose colour tells their number, and how to read it off a view."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image

from anas_zoo.data import Batch, FolderSource

CLASSES = 3


def write_numbered(
    root: Path, count: int, side: int = 12, unreadable: Iterable[int] = (), name: str = "{:03d}.png"
) -> FolderSource:
    """Image i of the source has the colour (i, 255 - i, 100) and the class i * CLASSES // count."""
    for number in range(count):
        folder = root / f"class{number * CLASSES // count}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name.format(number)
        Image.new("RGB", (side, side), (number, 255 - number, 100)).save(file)
        if number in unreadable:
            file.write_bytes(file.read_bytes()[:-30])
    source = FolderSource(root)
    assert source.labels.tolist() == [number * CLASSES // count for number in range(count)]
    return source


def numbers(source: FolderSource, batch: Batch, resolution: int = 12) -> list[int]:
    """Which images a batch shows; fails where a view or a label is not that image's."""
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1)
        for values in (source.preprocessing.mean, source.preprocessing.std)
    )
    pixels = (batch.view(resolution) * std + mean) * 255
    found = pixels[:, 0].mean((-1, -2)).round()
    expected = torch.stack([found, 255 - found, torch.full_like(found, 100)], 1)[..., None, None]
    torch.testing.assert_close(pixels, expected.expand_as(pixels), atol=0.05, rtol=0)
    shown: list[int] = found.int().tolist()
    assert batch.labels.tolist() == source.labels[shown].tolist()
    assert batch.images == len(shown)
    return shown
