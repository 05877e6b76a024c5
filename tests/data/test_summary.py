from __future__ import annotations

from pathlib import Path

from image_files import DIGITS
from PIL import Image

from anas_zoo.data import AugmentationRecipe, FolderSource, StreamRecipe, summarise


def test_the_facts_of_a_collection_in_one_line(tmp_path: Path) -> None:
    assert summarise(DIGITS).line() == "1,797 images in 10 classes (smallest: '8', 174), 8×8 pixels"
    for label, sizes in {"a": [(20, 10), (30, 40)], "b": [(9, 9)]}.items():
        (tmp_path / label).mkdir()
        for number, size in enumerate(sizes):
            Image.new("RGB", size).save(tmp_path / label / f"{number}.png")
    source = FolderSource(tmp_path)
    line = "3 images in 2 classes (smallest: 'b', 1), about 9×9 to 30×40 pixels"
    assert summarise(source).line() == line
    source.file(2).write_bytes(b"")
    assert summarise(source).sizes == ((20, 10), (30, 40))


def test_augmentation_in_words() -> None:
    assert AugmentationRecipe().describe() == "flips: no; nothing else changed"
    some = AugmentationRecipe(rotation_deg=10, min_scale=0.9, translation_fraction=0.05, flip=True)
    assert some.describe() == "flips: yes; rotation up to 10°, scale 0.9 to 1, shifts up to 5 %"
    assert StreamRecipe().describe() == "flips: yes; crops of 8 to 100 % of the area, AutoAugment v0"
