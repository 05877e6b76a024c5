from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from global_generators import untouched
from image_files import write_digits
from numbered_images import numbers, write_numbered
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.data import Batch, FolderSource, ImageSource, Share, StreamedImages, StreamRecipe

SEED = (7, 0)
# Crops and flips of one colour show nothing.
PLAIN: dict[str, Any] = {"side": 12, "auto_augment": "", "workers": 0}


def streamed(source: ImageSource, share: Share, *, limit: int = 0, **recipe: Any) -> StreamedImages:
    indices = range(len(source.labels))
    return StreamedImages(
        source, indices, StreamRecipe(**{"side": 16, **recipe}), share=share, max_unreadable=limit
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FolderSource:
    """40 oblong JPEG files of ten classes."""
    root = tmp_path_factory.mktemp("photos")
    for file in write_digits(root, side=40).glob("*/*.png"):
        Image.open(file).resize((48, 40)).save(file.with_suffix(".jpg"), quality=90)
        file.unlink()
    return FolderSource(root)


def flat(epoch: Iterator[list[Batch]]) -> list[torch.Tensor]:
    """Everything that a pass holds: labels and the views at two resolutions of each micro-batch."""
    return [
        tensor
        for batches in epoch
        for batch in batches
        for tensor in (batch.labels, batch.view(16), batch.view(24))
    ]


def test_the_order_of_the_indices_is_not_the_order_of_the_numbers(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 9)
    train = [8, 0, 7, 3]
    images = StreamedImages(source, train, StreamRecipe(**PLAIN), share=Share(4))
    ((batch,),) = images.epoch(SEED, 0)
    assert sorted(numbers(source, batch)) == sorted(train)


def test_workers_change_nothing(photos: FolderSource) -> None:
    passes = [flat(streamed(photos, Share(8), workers=workers).epoch(SEED, 2)) for workers in (0, 2)]
    assert len(passes[0]) == 5 * 3
    assert len(passes[1]) == len(passes[0])
    assert all(map(torch.equal, *passes))


@pytest.mark.parametrize("workers", [0, 1])
def test_global_generators_are_left_alone(photos: FolderSource, workers: int) -> None:
    images = streamed(photos, Share(8), workers=workers)
    with untouched():
        flat(images.epoch(SEED, 0))
    with untouched():  # also by one that is left in the middle
        epoch = images.epoch(SEED, 0)
        next(epoch)
        del epoch


def test_views_are_normalised_as_the_source_says(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in "xy":
        Image.new("RGB", (30, 20), (10, 200, 90)).save(tmp_path / "a" / f"{name}.png")
    source = FolderSource(tmp_path)
    (batch,) = next(streamed(source, Share(2), **PLAIN).epoch(SEED, 0))
    expected = [
        (10 / 255 - 0.485) / 0.229,
        (200 / 255 - 0.456) / 0.224,
        (90 / 255 - 0.406) / 0.225,
    ]
    for resolution in (8, 12, 31):
        view = batch.view(resolution)
        assert view.shape == (2, 3, resolution, resolution)
        assert view.dtype == torch.float32
        assert view.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(view.mean((0, 2, 3)), torch.tensor(expected), atol=1e-5)
        assert view.std((0, 2, 3)).max() < 1e-5
        assert batch.view(resolution) is view
    assert batch.labels.dtype == torch.int64


def test_a_view_at_another_resolution_is_the_resized_crop(photos: FolderSource) -> None:
    (batch,) = next(streamed(photos, Share(8), workers=0).epoch(SEED, 0))
    for resolution in (11, 24):
        resized = torch.nn.functional.interpolate(batch.view(16), size=resolution, mode="bicubic")
        assert torch.allclose(batch.view(resolution), resized, atol=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_images_are_replaced_up_to_the_limit(tmp_path: Path, workers: int) -> None:
    source = write_numbered(tmp_path, 24, unreadable=(3, 4, 23))
    images = streamed(source, Share(6), limit=3, **{**PLAIN, "workers": workers})
    for epoch in range(2):
        shown = [numbers(source, batch) for (batch,) in images.epoch(SEED, epoch)]
        assert [len(batch) for batch in shown] == [6] * 4
        # The next one that can be read comes twice; after the last one that is the first.
        served = sum(shown, start=list[int]())
        assert sorted(served) == sorted([*(n for n in range(24) if n not in (3, 4, 23)), 5, 5, 0])
    files = [reason.split(":")[0].rsplit("/", 1)[-1] for reason in images.skipped()]
    assert sorted(files) == ["003.png", "004.png", "023.png"]  # each counted once in two passes
    over = streamed(source, Share(6), limit=2, **{**PLAIN, "workers": workers})
    with pytest.raises(
        DataError,
        match=r"^3 training images could not be read, 2 may be skipped \(train\.max_unreadable_images\); "
        r"the last: .*/class\d/\d{3}\.png: unreadable image",
    ):
        list(over.epoch(SEED, 0))
    assert len(over.skipped()) == 3


def test_a_collection_that_vanished_is_reported_in_one_line(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 30)
    for file in tmp_path.glob("*/*.png"):
        file.unlink()
    with pytest.raises(DataError, match=r"^20 training images in a row cannot .*no such file$"):
        next(streamed(source, Share(2), limit=1000, **PLAIN).epoch(SEED, 0))
    with pytest.raises(DataError, match=r"^\d+ training images could not be read, 10 may .*no such file$"):
        next(streamed(source, Share(2), limit=10, **PLAIN).epoch(SEED, 0))
    few = StreamedImages(source, range(4), StreamRecipe(**PLAIN), share=Share(2), max_unreadable=9)
    with pytest.raises(DataError, match=r"^4 training images in a row cannot .*no such file$"):
        next(few.epoch(SEED, 0))


def test_too_few_images_and_uneven_parts_are_refused(photos: FolderSource) -> None:
    with pytest.raises(
        DataError, match=r"^40 training images are fewer than one batch of 64; give a smaller"
    ):
        streamed(photos, Share(64))
    with pytest.raises(DataError, match=r"batch_size 10 cannot be cut into 4 processes .*; batch_size 8 can"):
        streamed(photos, Share(10, processes=4))
    assert streamed(photos, Share(40)).steps_per_epoch() == 1


def gone(pids: list[int], seconds: float = 10) -> bool:
    """Whether all processes end within that many seconds."""
    until = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def worker_pids() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid is not None]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", ["dropped", "failed"])
def test_no_worker_outlives_its_iterator(tmp_path: Path, end: str) -> None:
    source = write_numbered(tmp_path, 40, unreadable=(11,) if end == "failed" else ())
    epoch = streamed(source, Share(2), **{**PLAIN, "workers": 2}).epoch(SEED, 0)
    assert worker_pids() == []
    next(epoch)
    pids = worker_pids()
    assert len(pids) == 2
    assert not gone(pids, seconds=0)
    if end == "dropped":
        del epoch
        gc.collect()
    else:
        with pytest.raises(DataError, match=r"011\.png"):
            list(epoch)
    assert worker_pids() == []
    assert gone(pids)


@pytest.mark.slow  # torch looks every five seconds whether its workers live
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
def test_a_killed_worker_is_reported_in_one_line(tmp_path: Path) -> None:
    source = write_numbered(tmp_path, 120)
    epoch = streamed(source, Share(2), **{**PLAIN, "workers": 2}).epoch(SEED, 0)
    next(epoch)
    pids = worker_pids()
    for pid in pids[:1]:
        os.kill(pid, signal.SIGKILL)  # as Linux does when memory ends
    with pytest.raises(DataError, match=r"was killed.*use fewer than 2 \(train\.stream\.workers\)") as caught:
        list(epoch)
    assert "\n" not in str(caught.value)
    assert gone(pids)


SCRIPT = """
from anas_zoo.data import DigitsSource, Share, StreamRecipe, StreamedImages

source = DigitsSource()
images = StreamedImages(source, range(64), StreamRecipe(side=16, workers=1), share=Share(8))
print(sum(batch.images for batches in images.epoch((1, 0), 0) for batch in batches))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no server to start workers from")
def test_a_script_needs_a_guard_and_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(SCRIPT)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert "DataError: the workers that read training images cannot be started" in last
    assert "needs if __name__ == '__main__': around its work" in last
