from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_files import write_digits
from PIL import Image

from anas_zoo.core.errors import ConfigError, DataError
from anas_zoo.core.files import sha256_bytes
from anas_zoo.core.schema import parse
from anas_zoo.data import DigitsSource, FolderSource, Split, SplitRecipe, make_split
from anas_zoo.data.splits import with_file_names
from anas_zoo.entry import Preprocessing


@dataclass
class Labelled:
    """A source of which only the labels matter."""

    labels: npt.NDArray[np.int64]
    test_indices: npt.NDArray[np.int64] | None = None
    name: str = "labels"
    title: str = "labels"
    licence: str = "none"
    label_names: tuple[str, ...] = tuple("abcdefghijklmnopqrstuvwxyz")
    preprocessing: Preprocessing = DigitsSource.preprocessing

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (1, 1))

    def fingerprint(self) -> str:
        return sha256_bytes(self.labels.tobytes())


def labelled(counts: list[int], test: int | None = None) -> Labelled:
    """So many images of each class, and ``test`` more of each in a test part that lies between them."""
    labels = np.repeat(np.arange(len(counts)), counts)
    if test is None:
        return Labelled(labels)
    first = len(labels) // 2
    labels = np.insert(labels, first, np.tile(np.arange(len(counts)), test))
    return Labelled(labels, np.arange(first, first + test * len(counts)))


def in_class(source: Labelled, part: tuple[int, ...]) -> list[int]:
    counts: list[int] = np.bincount(source.labels[list(part)], minlength=source.labels.max() + 1).tolist()
    return counts


# Of the code that made the published digits models: the first 1,797 bundled scans, cut by these seeds.
@pytest.mark.parametrize(
    ("seed", "fraction", "digest"),
    [
        (0, 0.15, "4cd5604654fb699fbd7478066af2308cecbb514363f07dc1de952e3273a996fa"),
        (0, 0.2, "e4ed9fdb6355ae46f18305dc0be839d21272327888fae8c5ead2ad1f2aff6a71"),
        (1, 0.15, "9d663712eb92e276a898bd1c02a84958d4a8e10eef3cd520e86e633aa71d67b2"),
        (7, 0.2, "5cf260cdadeb69891f00117dedab1feffe701b90f07d1231a8c13588b745c090"),
    ],
)
def test_the_digits_split_is_the_one_of_the_published_models(seed: int, fraction: float, digest: str) -> None:
    split = make_split(DigitsSource(), SplitRecipe(search_fraction=fraction, test_fraction=0.2), seed=seed)
    text = json.dumps([split.train, split.search, split.test])
    assert hashlib.sha256(text.encode()).hexdigest() == digest


@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    search=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.4),
)
def test_parts_are_disjoint_complete_and_stratified(
    counts: list[int], seed: int, search: float, test: float
) -> None:
    source = labelled(counts)
    split = make_split(source, SplitRecipe(search_fraction=search, test_fraction=test), seed=seed)
    assert sorted(split.train + split.search + split.test) == list(range(len(source.labels)))
    assert split.train == tuple(sorted(split.train))
    assert in_class(source, split.test) == [max(1, round(count * test)) for count in counts]
    assert in_class(source, split.search) == [max(1, round(count * search)) for count in counts]


@given(
    counts=st.lists(st.integers(6, 60), min_size=2, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    per_class=st.integers(1, 5) | st.none(),
    test=st.integers(1, 4),
)
def test_a_test_part_of_the_source_is_the_test_part(
    counts: list[int], seed: int, per_class: int | None, test: int
) -> None:
    source = labelled(counts, test)
    split = make_split(source, SplitRecipe(search_per_class=per_class), seed=seed)
    assert source.test_indices is not None
    assert split.test == tuple(source.test_indices.tolist())
    assert sorted(split.train + split.search + split.test) == list(range(len(source.labels)))
    expected = [max(1, round(count * 0.15)) if per_class is None else per_class for count in counts]
    assert in_class(source, split.search) == expected
    assert in_class(source, split.train) == [n - e for n, e in zip(counts, expected, strict=True)]


def test_so_many_per_class_leave_the_test_fraction_as_it_is() -> None:
    source = labelled([20, 30])
    split = make_split(source, SplitRecipe(search_per_class=7, test_fraction=0.5), seed=0)
    assert in_class(source, split.test) == [10, 15]
    assert in_class(source, split.search) == [7, 7]
    assert in_class(source, split.train) == [3, 8]


def test_the_seed_decides_and_nothing_else() -> None:
    source = DigitsSource()
    state = repr(np.random.get_state())  # noqa: NPY002
    assert make_split(source, SplitRecipe(), seed=3) == make_split(source, SplitRecipe(), seed=3)
    first, other = (make_split(source, SplitRecipe(), seed=seed) for seed in (3, 4))
    assert (first.search, first.test) != (other.search, other.test)
    assert state == repr(np.random.get_state())  # noqa: NPY002


def test_a_split_survives_being_written_down() -> None:
    split = make_split(DigitsSource(), SplitRecipe(), seed=0)
    data = split.model_dump(mode="json")
    assert set(data) == {"source", "source_sha256", "seed", "images", "search", "test"}
    again = parse(Split, json.loads(json.dumps(data)), "split.json")
    assert again == split
    assert again.train == split.train


@pytest.mark.parametrize(
    ("source", "recipe", "message"),
    [
        (
            labelled([4, 2, 1]),
            {},
            "^too few images for train, search and test: 2 images of class 'b', 1 image of class 'c'; "
            "at least 3 of each class are needed: add images, or remove the class$",
        ),
        (labelled([4, 2, 1], test=1), {}, "for train and search: 1 image of class 'c'; at least 2 of each"),
        (labelled([4, 5], test=1), {"search_per_class": 4}, ": 4 images of class 'a'; at least 5 of"),
        # One of 5 is for testing, so 5 leave 4 + 0; 6 leave 4 + 1.
        (labelled([5, 6]), {"search_per_class": 4}, ": 5 images of class 'a'; at least 6 of"),
        (labelled([0, 5], test=1), {}, ": 0 images of class 'a'; "),
        (labelled([1] * 26), {}, "1 image of class 'j', 16 more classes; "),
    ],
)
def test_too_small_classes_are_named_all_at_once(
    source: Labelled, recipe: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        make_split(source, parse(SplitRecipe, recipe, "recipe"), seed=0)


def test_a_test_part_without_some_class_is_refused() -> None:
    source = labelled([5, 5, 5], test=2)
    assert source.test_indices is not None
    source.test_indices = source.test_indices[source.labels[source.test_indices] != 1]
    message = "training part has 3 classes and the test part 2, which must be the same; not in .* 'b'"
    with pytest.raises(DataError, match=message):
        make_split(source, SplitRecipe(), seed=0)


@pytest.mark.parametrize(("counts", "test"), [([9], None), ([9], 2), ([9, 0, 0], None)])
def test_images_of_one_class_are_refused(counts: list[int], test: int | None) -> None:
    with pytest.raises(DataError, match="labels has one class, 'a'; a classifier needs two or more"):
        make_split(labelled(counts, test), SplitRecipe(), seed=0)


def test_a_split_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="no images are left to train on"):
        make_split(labelled([3, 3]), SplitRecipe(search_fraction=0.5, test_fraction=0.49), seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["search"].append(data["test"][0]), "two parts"),
        (lambda data: data["search"].append(data["search"][0]), "twice in one"),
        (lambda data: data["search"].append(1797), "not from 0 to 1796"),
        (lambda data: data["search"].append(-1), "not from 0 to 1796"),
    ],
)
def test_a_written_split_that_cannot_be_is_refused(change: object, message: str) -> None:
    data = make_split(DigitsSource(), SplitRecipe(), seed=0).model_dump(mode="json")
    data["search"], data["test"] = list(data["search"]), list(data["test"])
    assert callable(change)
    change(data)
    with pytest.raises(ConfigError, match=message):
        parse(Split, data, "split.json")


def test_fractions_must_leave_something_to_train_on() -> None:
    with pytest.raises(ConfigError, match="must be under 1"):
        parse(SplitRecipe, {"search_fraction": 0.5, "test_fraction": 0.5}, "recipe")


@st.composite
def with_copies(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Images per class, and groups of at most four images that are copies, whatever their class."""
    counts = draw(st.lists(st.integers(20, 40), min_size=2, max_size=5))
    order = draw(st.permutations(range(sum(counts))))
    groups, sizes = [], draw(st.lists(st.integers(2, 4), max_size=4))
    for size in sizes:
        groups.append(sorted(order[:size]))
        order = order[size:]
    return counts, groups


@given(case=with_copies(), seed=st.integers(0, 2**32 - 1), test=st.integers(1, 4) | st.none())
def test_copies_are_in_one_part_and_every_class_in_every_part(
    case: tuple[list[int], list[list[int]]], seed: int, test: int | None
) -> None:
    counts, groups = case
    source = labelled(counts, test)
    copies = tuple(map(tuple, groups))
    split = make_split(source, SplitRecipe(), seed=seed, copies=copies)
    part = {index: name for name in ("train", "search", "test") for index in getattr(split, name)}
    assert sorted((*part, *split.copies_of_test)) == list(range(len(source.labels)))
    for group in groups:
        assert len({part[index] for index in group if index in part}) == 1
    for name in ("train", "search", "test"):
        assert all(in_class(source, getattr(split, name)))
    if test is not None:
        assert source.test_indices is not None
        assert split.test == tuple(source.test_indices.tolist())
        tested = set(split.test)
        assert set(split.copies_of_test) == {
            index for group in groups if tested & set(group) for index in group if index not in tested
        }
    assert make_split(source, SplitRecipe(), seed=seed, copies=copies) == split
    if not groups:
        assert split == make_split(source, SplitRecipe(), seed=seed)


def test_a_class_of_copies_alone_is_refused() -> None:
    source = labelled([6, 4])
    message = (
        "^too few images that are not copies of others for train, search and test: 2 images of class 'b'; "
    )
    with pytest.raises(DataError, match=message):
        make_split(source, SplitRecipe(), seed=0, copies=((0, 6), (7, 8)))
    source = labelled([2, 2], test=1)
    with pytest.raises(DataError, match="0 images of class 'a', 0 images of class 'b'; "):
        make_split(source, SplitRecipe(), seed=0, copies=(tuple(range(6)),))


def test_a_folders_split_names_its_files(tmp_path: Path) -> None:
    source = FolderSource(write_digits(tmp_path / "images", per_class=5, classes=3))
    split = make_split(source, SplitRecipe(), seed=0)
    named = with_file_names(source, split)
    assert named.search_files is not None
    assert named.test_files is not None
    for part, files in ((split.search, named.search_files), (split.test, named.test_files)):
        assert [tmp_path / "images" / file for file in files] == [source.file(index) for index in part]
    again = parse(Split, json.loads(json.dumps(named.model_dump(mode="json"))), "split.json")
    assert again == named
    assert again.train == split.train
    assert with_file_names(DigitsSource(), split) is split
    with pytest.raises(ConfigError, match="2 names of files for 3 images"):
        parse(Split, named.model_dump(mode="json") | {"test_files": ["a", "b"]}, "split.json")
