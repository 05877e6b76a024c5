from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import DIGITS, write_digits
from PIL import Image

from anas_zoo.core.errors import DataError
from anas_zoo.core.schema import parse
from anas_zoo.data import FolderSource, Inspection, SplitRecipe, WdsSource, inspect, make_split
from anas_zoo.data import inspection as module
from anas_zoo.data.copies import find_copies


def write(path: Path, image: Image.Image, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def test_a_built_in_source_is_described_by_what_applies() -> None:
    seen = inspect(DIGITS)
    assert seen.line() == "1,797 images in 10 classes (smallest: '8', 174), 8×8 pixels"
    assert seen.lines() == [
        "images per class: 0 178, 1 182, 2 177, 3 183, 4 181, 5 182, 6 181, 7 179, 8 174, 9 180",
        "all grey",
    ]
    assert seen.warnings() == []
    assert (seen.short_side_px, seen.compared, seen.copies) == (8, False, ())


def test_sizes_kinds_and_unreadable_images(tmp_path: Path) -> None:
    red = Image.new("RGB", (30, 40), (200, 10, 10))
    write(tmp_path / "a" / "turned.jpg", red, exif=_turned())
    write(tmp_path / "a" / "grey.png", Image.new("L", (20, 10), 7))
    write(tmp_path / "a" / "clear.png", Image.new("RGBA", (9, 9), (1, 2, 3, 100)))
    write(tmp_path / "b" / "palette.png", red.convert("P"))
    film = [Image.new("RGB", (30, 40), (number, 0, 90)) for number in range(3)]
    write(tmp_path / "b" / "film.gif", film[0], save_all=True, append_images=film[1:])
    cut = write(tmp_path / "b" / "cut.png", Image.effect_noise((300, 400), 50))
    cut.write_bytes(cut.read_bytes()[:-40])
    write(tmp_path / "b" / "empty.png", red).write_bytes(b"")
    seen = inspect(FolderSource(tmp_path))
    assert seen.kinds == {"animated": 1, "colour": 4, "grey": 1, "palette": 2, "transparent": 1}
    assert seen.per_class == {"a": 3, "b": 4}
    assert (seen.smallest, seen.largest) == ((9, 9), (300, 400))
    assert seen.short_sides_px == (9, 9, 30, 300, 300)
    assert (seen.images, seen.measured, seen.read) == (7, 7, 7)
    assert sorted(reason.split(":")[0] for reason in seen.unreadable) == [
        str(tmp_path / "b" / name) for name in ("cut.png", "empty.png")
    ]
    text = "\n".join(seen.lines())
    assert "images per class: a 3, b 4" in text
    assert "median short side 30 pixels; 1 grey and 4 in colour; 1 with transparent parts" in text
    assert "1 animated" in text
    assert "unreadable: 2 (" in text
    assert [line.split(",")[0] for line in seen.warnings()] == [
        "few images",
        "very unequal sizes: short sides from 9 (5 %) to 300 pixels (95 %); the small ones are enlarged",
    ]
    assert parse(Inspection, seen.to_dict(), "images.json") == seen


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_a_turned_photograph_has_the_size_that_people_see(tmp_path: Path) -> None:
    write(tmp_path / "a" / "turned.jpg", Image.new("RGB", (30, 40)), exif=_turned())
    source = FolderSource(tmp_path)
    assert inspect(source).largest == source.image(0).size == (40, 30)


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_copies_are_found_within_and_across_classes(tmp_path: Path, kind: str) -> None:
    folder = write_digits(tmp_path / "images", per_class=6, classes=3)
    first = sorted((folder / "digit0").iterdir())[0]
    shutil.copyfile(first, folder / "digit0" / "999.png")
    shutil.copyfile(first, folder / "digit2" / "999.png")
    source: FolderSource | WdsSource = FolderSource(folder)
    names = (f"digit0/{first.name}", "digit0/999.png", "digit2/999.png")
    if kind == "tar":
        with tarfile.open(tmp_path / "images.tar", "w") as tar:
            for number in range(len(source.labels)):
                assert isinstance(source, FolderSource)
                tar.add(source.file(number), f"{number:03d}.png")
                label = tmp_path / "label.cls"
                label.write_text(str(source.labels[number]), encoding="utf-8")
                tar.add(label, f"{number:03d}.cls")
        source = WdsSource(str(tmp_path / "images.tar"))
        names = ("image 0", "image 6", "image 19")
    seen = inspect(source)
    (group,) = seen.copies
    assert (group.images, group.files) == ((0, 6, 19), names)
    assert seen.conflicts == (group,)
    assert seen.warnings()[0].startswith(f"3 files are in several classes with the same content ({group}): ")
    assert f"byte for byte: 2 ({' = '.join(names)})" in "\n".join(seen.lines())
    for seed in range(5):
        split = make_split(source, SplitRecipe(), seed=seed)
        assert split == make_split(source, SplitRecipe(), seed=seed, copies=seen.groups)
        assert not seen.across(split)
    apart = split.model_copy(update={"search": (0,), "test": (6,)})
    assert seen.across(apart) == (group,)


def test_files_that_cannot_be_compared_are_nobodys_copies(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "images", per_class=3, classes=2)
    source = FolderSource(folder)
    for index in (0, 1):
        source.file(index).write_bytes(b"")  # of one content, and no images
    assert find_copies(source) == ()
    assert find_copies(DIGITS) is None


def test_time_decides_only_what_is_read_whole(tmp_path: Path) -> None:
    source = FolderSource(write_digits(tmp_path / "images", per_class=3, classes=4))
    source.file(7).write_bytes(b"no image")
    slow, quick = inspect(source), inspect(source, seconds=-1)
    assert (slow.read, quick.read) == (12, 1)  # without a header it is read in any case
    assert slow.unreadable == quick.unreadable
    assert slow.short_sides_px == quick.short_sides_px
    assert slow.copies == quick.copies


def test_of_very_many_images_a_spread_part_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FolderSource(write_digits(tmp_path / "images", per_class=30, classes=10))
    monkeypatch.setattr(module, "MAX_LOOKED_AT", 270)
    seen = inspect(source)
    assert (seen.images, seen.measured, seen.read) == (300, 270, 270)
    assert seen.lines()[-1] == "looked at whole: 270 of the 300 images"
    assert seen.per_class == dict.fromkeys((f"digit{label}" for label in range(10)), 30)


def test_very_unequal_classes_are_warned_of(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "images", per_class=40, classes=3)
    for file in sorted((folder / "digit1").iterdir())[3:]:
        file.unlink()
    (line,) = inspect(FolderSource(folder)).warnings()
    assert line.startswith("very unequal classes: 'digit1' 3 images, while the median class has 40; ")


def test_images_without_classes_are_looked_at_as_well(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"{index}.png", DIGITS.image(index))
    seen = inspect(FolderSource(tmp_path))
    assert (seen.images, seen.per_class, seen.short_side_px) == (3, {}, 8)
    assert seen.lines()[0] == "no classes"
    with pytest.raises(DataError, match="has no class folders"):
        make_split(FolderSource(tmp_path), SplitRecipe(), seed=0)


def test_nothing_to_look_at_is_no_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a" / "1.png", Image.new("L", (3, 3)))
    file.write_bytes(b"none")
    seen = inspect(FolderSource(tmp_path))
    assert (seen.short_side_px, seen.smallest, len(seen.unreadable)) == (None, None, 1)
    assert seen.line() == "1 images in 1 classes (smallest: 'a', 1)"
    assert np.array_equal(FolderSource(tmp_path).stored_bytes(), [4])
