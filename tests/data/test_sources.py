from __future__ import annotations

import concurrent.futures
import multiprocessing
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import encoded, write_digits

from anas_zoo.core.errors import DataError
from anas_zoo.data import DigitsSource, FolderSource, ImageSource, WdsSource, eval_tensor, open_source


def test_digits_are_the_bundled_scans() -> None:
    source = DigitsSource()
    assert len(source.labels) == 1797
    assert source.test_indices is None
    assert np.bincount(source.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    image = source.image(0)
    assert image.size == (8, 8)
    assert image.mode == "RGB"
    assert np.asarray(image).max() == 239  # 15 of 16 grey levels


def test_eval_tensor_is_what_timm_would_feed() -> None:
    source = DigitsSource()
    images = eval_tensor(source, [0, 1, 2], source.preprocessing, 14)
    assert images.shape == (3, 3, 14, 14)
    assert images.dtype == torch.float32
    assert float(images.min()) >= -1.0
    assert float(images.max()) <= 1.0
    native = eval_tensor(source, [0], source.preprocessing, 8)
    expected = torch.from_numpy(np.asarray(source.image(0)).copy()).permute(2, 0, 1) / 255.0
    assert torch.allclose(native[0], (expected - 0.5) / 0.5, atol=1e-6)


def test_more_images_than_memory_allows_are_refused() -> None:
    source = DigitsSource()
    with pytest.raises(DataError, match="GiB of memory"):
        eval_tensor(source, range(1797), source.preprocessing, 2000)


def test_the_name_decides_the_source(tmp_path: Path) -> None:
    assert isinstance(open_source("digits"), DigitsSource)
    assert open_source("glyphs").name == "glyphs"
    folder = write_digits(tmp_path / "images", per_class=1)
    for name in (folder, str(folder)):
        assert isinstance(open_source(name), FolderSource)
    with pytest.raises(DataError, match=r"shards\.tar: no such file"):
        open_source(f"wds/{tmp_path}/shards.tar")


@pytest.mark.parametrize("name", ["digits", "glyphs"])
def test_a_folder_called_like_a_built_in_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not isinstance(open_source(name), FolderSource)
    assert capsys.readouterr().err == ""
    write_digits(Path(name), per_class=1, classes=2)
    assert not isinstance(open_source(name), FolderSource)
    said = f"{name} is the built-in source; for the folder of that name, give ./{name}\n"
    assert capsys.readouterr().err == said
    for given in (f"./{name}", f"{name}/", tmp_path / name):
        source = open_source(given)
        assert isinstance(source, FolderSource)
        assert isinstance(open_source(source.name), FolderSource)  # a source's name opens it again
    assert capsys.readouterr().err == ""


def test_a_folder_called_like_a_kind_of_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_digits(Path("wds/images"), per_class=1, classes=2)
    with tarfile.open("images", "w") as tar:
        for name, content in {"k.png": encoded(0), "k.cls": b"0"}.items():
            (tmp_path / name).write_bytes(content)
            tar.add(tmp_path / name, name)
    assert isinstance(open_source("wds/images"), WdsSource)
    assert capsys.readouterr().err == (
        "wds/images is the tar shards images; for the folder of that name, give ./wds/images, "
        "or wds/wds/images for what it holds of that kind\n"
    )
    source = open_source("./wds/images")
    assert isinstance(source, FolderSource)
    assert isinstance(open_source(source.name), FolderSource)
    assert capsys.readouterr().err == ""


def test_unknown_sources_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data source ''; give 'digits'"):
        open_source("")  # not the current folder
    with pytest.raises(DataError, match=r"did you mean 'digits'.*'glyphs'.*hfds/NAME.*wds/PATH.*folder"):
        open_source("digit")
    (tmp_path / "x.tar").write_bytes(b"")
    with pytest.raises(DataError, match=rf"for tar shards, type wds/{tmp_path}/x\.tar"):
        open_source(tmp_path / "x.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images found"):
        open_source(tmp_path / "empty")


def _pixels(source: ImageSource, index: int) -> bytes:
    return source.image(index).tobytes()


@pytest.mark.slow
def test_sources_travel_to_processes_that_share_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in {"k.png": encoded(0), "k.cls": b"0"}.items():
            (tmp_path / name).write_bytes(content)
            tar.add(tmp_path / name, name)
    sources: list[ImageSource] = [
        DigitsSource(),
        FolderSource(write_digits(tmp_path / "images", per_class=1)),
        WdsSource(str(tmp_path / "a.tar")),
    ]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for source in sources:
            assert pool.submit(_pixels, source, 0).result() == _pixels(source, 0)
