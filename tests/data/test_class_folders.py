from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from image_files import DIGITS, encoded
from PIL import Image
from timm.data import create_dataset

from anas_zoo.core.errors import DataError
from anas_zoo.core.files import canonical_json, sha256_bytes
from anas_zoo.core.images import FORMATS
from anas_zoo.data import FolderSource


def write(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(0))
    return root


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_found(tmp_path: Path, form: str) -> None:
    Image.init()
    known = [suffix for suffix, kind in Image.registered_extensions().items() if kind == form]
    suffixes = [suffix for suffix in known if suffix != ".pfm"]
    for number, suffix in enumerate((suffixes[0], suffixes[-1].upper())):
        (tmp_path / f"class{number}").mkdir()
        with (tmp_path / f"class{number}" / f"0{suffix}").open("wb") as file:
            DIGITS.image(0).resize((16, 16)).save(file, form)
    source = FolderSource(tmp_path)
    assert len(source.labels) == len(source.label_names) == 2
    assert source.image(0).size == source.image(1).size == (16, 16)


# A run on disk knows its images by their numbers: what timm's reader read in a certain order stays in it.
def test_the_order_is_the_one_that_runs_on_disk_have(tmp_path: Path) -> None:
    classes = ("b", "a b", "a", "img10", "img2", "Zebra", "n01443537", "1.5", "10", "9", "été")
    files = ("0.png", "10.png", "9.JPG", "IMG_12 a.jpeg", "img_3.png", "x-1_2.png")
    root = write(tmp_path / "set 1.2", (f"{name}/{file}" for name in classes for file in files))
    source, reader = FolderSource(root), create_dataset("", root=str(root), search_split=False).reader
    assert list(source.label_names) == sorted(reader.class_to_idx, key=reader.class_to_idx.get)
    assert [(str(source.file(i)), label) for i, label in enumerate(source.labels)] == reader.samples
    rows = [[str(Path(p).relative_to(root)), Path(p).stat().st_size, label] for p, label in reader.samples]
    assert source.fingerprint() == sha256_bytes(canonical_json(rows).encode())


def test_names_that_differ_in_case_or_zeros_have_one_order(tmp_path: Path) -> None:
    classes, files = ("a", "A", "01", "1", "001", "b", "B"), ("1.png", "01.png", "x.png", "X.png")
    write(tmp_path, (f"{name}/{file}" for name in classes for file in files))
    source = FolderSource(tmp_path)
    assert source.label_names == ("001", "01", "1", "A", "a", "B", "b")
    in_b = [file.name for file in map(source.file, range(28)) if file.parent.name == "b"]
    assert in_b == ["01.png", "1.png", "X.png", "x.png"]


def test_links_lead_no_further_than_to_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "images", ["cat/0.png", "dog/0.png"])
    write(tmp_path, ["bird/0.png"])
    (root / "bird").symlink_to(tmp_path / "bird")
    (root / "cat" / "again").symlink_to(root)
    (root / "dog" / "cat").symlink_to(root / "cat")
    (root / "dog" / "1.png").symlink_to(root / "cat" / "0.png")  # a file, as good as any
    (root / "dog" / "2.png").symlink_to("2.png")
    (root / "dog" / "3.png").symlink_to("gone.png")
    os.mkfifo(root / "dog" / "4.png")
    source = FolderSource(root)
    files = [str(source.file(i).relative_to(root)) for i in range(len(source.labels))]
    assert files == ["bird/0.png", "cat/0.png", "dog/0.png", "dog/1.png"]
    assert capsys.readouterr().err == (
        f"{root}: left out: files that cannot be opened (3: dog/2.png, dog/3.png, dog/4.png), "
        "links to folders within classes (2: cat/again, dog/cat)\n"
    )
    (tmp_path / "root").symlink_to(root)
    assert len(FolderSource(tmp_path / "root").labels) == 4


def test_a_name_in_two_encodings_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ["caf\u00e9/0.png", "cafe\u0301/0.png"])
    with pytest.raises(DataError, match=r"two class folders are called .* different encodings"):
        FolderSource(tmp_path)


def test_file_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    source = FolderSource(write(tmp_path, ["cat/" + os.fsdecode(b"\xe9.png"), "dog/0.png"]))
    assert source.image(0).size == (12, 12)
    assert len(source.fingerprint()) == 64


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, ["cat/0.png", "dog/0.png"])
    (root / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match=r"cat/?: cannot be read \(Permission denied\)"):
            FolderSource(root)
    finally:
        (root / "cat").chmod(0o755)
