"""Which of a network's classes the images' are: by WordNet id, description, label or order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from timm.data import ImageNetInfo

from anas_zoo.core.errors import DataError
from anas_zoo.core.hints import Call
from anas_zoo.data import DigitsSource, FolderSource, with_classes
from anas_zoo.pipeline.matched_classes import MatchedClasses, match_classes

AGAIN = Call("train", init="SUPERNET", data="DIR", out="RUN")
IMAGENET = ImageNetInfo()
IDS = tuple(IMAGENET.label_names())
DESCRIBED = tuple(IMAGENET.index_to_description(index) for index in range(1000))


def folder(root: Path, *names: str) -> FolderSource:
    from PIL import Image

    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(root / name / "0.png")
    return FolderSource(root)


def match(source: FolderSource, classes: int = 1000, labels: tuple[str, ...] | None = None) -> MatchedClasses:
    return match_classes(source, name="net", num_classes=classes, label_names=labels, again=AGAIN)


@pytest.mark.parametrize("labels", [None, IDS, DESCRIBED], ids=["no labels", "ids", "descriptions"])
@pytest.mark.parametrize(
    ("names", "by"),
    [
        (("n02099601", "n01440764"), "WordNet ids"),
        (("golden retriever", "tench, Tinca tinca"), "descriptions"),
        (("Golden_Retriever", "Tinca tinca"), "names in descriptions"),
    ],
)
def test_imagenets_classes_have_many_names(
    tmp_path: Path, names: tuple[str, ...], by: str, labels: tuple[str, ...] | None
) -> None:
    source = folder(tmp_path, *names)
    found = match(source, labels=labels)
    if not (by == "WordNet ids" and labels == IDS) and not (by == "descriptions" and labels == DESCRIBED):
        assert found.by == by
    wanted = {"n02099601": 207, "golden": 207, "Golden": 207, "n01440764": 0, "tench,": 0, "Tinca": 0}
    assert found.classes == tuple(wanted[name.split()[0].split("_")[0]] for name in source.label_names)
    expected = labels or (IDS if by == "WordNet ids" else DESCRIBED)
    assert found.label_names == expected


def test_a_networks_own_labels_are_enough_and_some_of_them_too(tmp_path: Path) -> None:
    found = match(folder(tmp_path, "pear", "apple"), 3, ("pear", "fig", "apple"))
    assert (found.by, found.classes) == ("the names of its labels", (2, 0))
    assert found.describe("net") == "2 of the 3 classes of net, matched by the names of its labels"


def test_without_labels_as_many_classes_are_taken_in_order(tmp_path: Path) -> None:
    found = match(folder(tmp_path, "b", "C", "a"), 3)
    assert (found.by, found.label_names) == ("their order", ("C", "a", "b"))
    assert [found.label_names[number] for number in found.classes] == list(FolderSource(tmp_path).label_names)


@pytest.mark.parametrize(
    ("names", "classes", "labels", "message"),
    [
        (
            ("a", "b"),
            1000,
            None,
            r"none of the 2 classes of .* is among the 1,000 of net \('n01440764', .*, …\): 'a', 'b'; "
            r"give it a new head for all of them: anas_zoo\.train\(init='SUPERNET'",
        ),
        (
            ("daisy", "wolves"),
            1000,
            IDS,
            r"1 of the 2 classes of .* is not among .*: 'wolves'; rename or remove their folders, or give",
        ),
        (("crane", "daisy"), 1000, None, "'crane', which several of those are called"),
        (("a", "b"), 3, None, r"has 2 classes \('a', 'b'\) and net has 3 without names; give images of"),
        (("pear", "aple"), 3, ("pear", "fig", "apple"), r"'aple' \(did you mean 'apple'\?\)"),
        (("daisy", "Daisy"), 1000, None, "'Daisy' and 'daisy' of .* are the same class of net, 'daisy'"),
    ],
)
def test_classes_that_match_nothing_are_named_in_one_line(
    tmp_path: Path, names: tuple[str, ...], classes: int, labels: tuple[str, ...] | None, message: str
) -> None:
    source = folder(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        match(source, classes, labels)


def test_images_with_a_networks_classes_are_the_same_images() -> None:
    digits = DigitsSource()
    source = with_classes(digits, [f"label {n}" for n in range(20)], [19 - n for n in range(10)])
    assert source.fingerprint() == digits.fingerprint()
    assert np.array_equal(source.labels, 19 - digits.labels)
    assert source.image(3).tobytes() == digits.image(3).tobytes()
    assert len(source.label_names) == 20
