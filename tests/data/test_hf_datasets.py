from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import numpy as np
import pytest
from image_files import DIGITS, encoded

from anas_zoo.core.errors import DataError
from anas_zoo.data import HfDatasetSource, SplitRecipe, make_split, open_source

CLASSES = datasets.ClassLabel(names=[f"digit {i}" for i in range(10)])
FEATURES = {"image": datasets.Image(), "label": CLASSES}


@pytest.fixture(autouse=True)
def _own_cache_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def write_part(folder: Path, part: str, columns: dict[str, list[Any]], features: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    dataset = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    dataset.to_parquet(str(folder / f"{part}-00000-of-00001.parquet"))
    return folder


def digits(indices: range) -> dict[str, list[Any]]:
    return {
        "image": [{"bytes": encoded(index), "path": f"{index}.png"} for index in indices],
        "label": [int(DIGITS.labels[index]) for index in indices],
    }


def write_digits_dataset(folder: Path, held_out: str = "validation") -> Path:
    write_part(folder, "train", digits(range(40)), FEATURES)
    return write_part(folder, held_out, digits(range(40, 80)), FEATURES)


def test_a_dataset_of_two_parts(tmp_path: Path) -> None:
    folder = write_digits_dataset(tmp_path / "digits")
    source = open_source(f"hfds/{folder}")
    assert isinstance(source, HfDatasetSource)
    assert source.name == f"hfds/{folder}"
    assert str(tmp_path) not in source.title
    assert source.label_names == tuple(CLASSES.names)
    assert source.labels.tolist() == DIGITS.labels[:80].tolist()
    assert source.test_indices is not None
    assert source.test_indices.tolist() == list(range(40, 80))
    for index in (0, 39, 40, 59):
        image = source.image(index)
        assert image.mode == "RGB"
        assert image.tobytes() == DIGITS.image(index).resize((12, 12)).tobytes()
    split = make_split(source, SplitRecipe(search_per_class=1), seed=0)
    assert split.test == tuple(range(40, 80))


def test_train_may_be_alone_and_validation_goes_before_test(tmp_path: Path) -> None:
    folder = write_part(tmp_path / "d", "train", digits(range(10)), FEATURES)
    write_part(folder, "test", digits(range(10, 12)) | {"label": [-1, -1]}, FEATURES)  # labels in name only
    source = HfDatasetSource(str(folder))
    assert (source.test_indices, len(source.labels)) == (None, 10)
    write_part(folder, "test", digits(range(10, 30)), FEATURES)
    write_part(folder, "validation", digits(range(30, 35)), FEATURES)
    labels = HfDatasetSource(str(folder)).labels
    assert labels.tolist() == DIGITS.labels[[*range(10), *range(30, 35)]].tolist()


def test_a_folder_of_image_files_is_a_dataset_too(tmp_path: Path) -> None:
    for part, name in (("train", "one"), ("train", "two"), ("test", "one"), ("test", "two")):
        (tmp_path / "d" / part / name).mkdir(parents=True)
        DIGITS.image(1 if name == "one" else 2).save(tmp_path / "d" / part / name / "x.png")
    source = HfDatasetSource(str(tmp_path / "d"))
    assert source.label_names == ("one", "two")
    assert source.image(3).tobytes() == DIGITS.image(2).tobytes()
    (tmp_path / "d" / "test" / "two" / "x.png").unlink()
    with pytest.raises(DataError, match=r"image 3 \(test, row 1\): cannot be opened \(No such file"):
        source.image(3)


@pytest.mark.parametrize(
    ("names", "features"),
    [
        (("img", "fine_label"), {"img": datasets.Image(), "fine_label": CLASSES, "coarse_label": CLASSES}),
        (("image", "labels"), {"image": datasets.Image(), "mask": datasets.Image(), "labels": CLASSES}),
        (
            ("image", "label"),
            {"image": datasets.Image(), "label": datasets.Value("int64"), "labels": datasets.Value("bool")},
        ),
    ],
)
def test_columns_are_found_by_their_type(
    tmp_path: Path, names: tuple[str, str], features: dict[str, Any]
) -> None:
    content = digits(range(10))
    # What is not named has the images or labels of other digits.
    columns = {
        name: content["image"][::-1] if isinstance(kind, datasets.Image) else content["label"][::-1]
        for name, kind in features.items()
    }
    columns |= {names[0]: content["image"], names[1]: content["label"]}
    source = HfDatasetSource(str(write_part(tmp_path / "d", "train", columns, features)))
    assert source.labels.tolist() == DIGITS.labels[:10].tolist()
    assert len(source.label_names) == 10
    assert source.image(4).tobytes() == DIGITS.image(4).resize((12, 12)).tobytes()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"colour": CLASSES, "shape": CLASSES},
            r"2 columns could be the label column .*: colour, shape; .* call one 'label'",
        ),
        ({"size": datasets.Value("int64")}, r"no label column .*: image, size"),
    ],
)
def test_columns_that_leave_a_doubt_are_refused(tmp_path: Path, labels: dict[str, Any], message: str) -> None:
    content = digits(range(2))
    columns = {"image": content["image"], **dict.fromkeys(labels, content["label"])}
    folder = write_part(tmp_path / "d", "train", columns, {"image": datasets.Image(), **labels})
    with pytest.raises(DataError, match=message):
        HfDatasetSource(str(folder))


@pytest.mark.parametrize(
    ("kind", "labels", "names"),
    [
        ("string", ["wolf", "cat", "wolf", "dog"], ("cat", "dog", "wolf")),
        ("bool", [True, False, True, True], ("False", "True")),
        ("int16", [2, 0, 1, 2], ("0", "1", "2")),
    ],
)
def test_labels_may_be_strings_booleans_or_numbers(
    tmp_path: Path, kind: str, labels: list[Any], names: tuple[str, ...]
) -> None:
    features = {"image": datasets.Image(), "label": datasets.Value(kind)}
    images = digits(range(4))["image"]
    folder = write_part(tmp_path / "d", "train", {"image": images, "label": labels}, features)
    write_part(folder, "test", {"image": images[:2], "label": labels[:2]}, features)
    source = HfDatasetSource(str(folder))
    assert source.label_names == names
    assert source.labels.tolist() == [names.index(str(label)) for label in labels + labels[:2]]
    assert source.labels.dtype == np.int64
    assert source.test_indices is not None


@pytest.mark.parametrize(
    ("kind", "train", "test", "message"),
    [
        (CLASSES, [0, None, None], [0], "part 'train': 2 of 3 images have no label"),
        (CLASSES, [0, -1], [0], "part 'train': image 1 has the label -1; expected labels 0 to 9"),
        (CLASSES, [], [0], "part 'train': no images|cannot be loaded"),
        ("string", ["a", None, ""], ["a"], "part 'train': 2 of 3 images have no label"),
        ("string", ["a", "b"], ["b", "c"], "part 'test': image 1 has the label 'c'; .* part: 'a', 'b'"),
        ("int64", [0, 10**9], [0], "a label is 1000000000, which is not a class number"),
        ("float32", [0.0, 1.0], [0.0], "no label column .*numbers, booleans or strings.*: image, label"),
    ],
)
def test_labels_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, kind: Any, train: list[Any], test: list[Any], message: str
) -> None:
    features = {"image": datasets.Image(), "label": kind if kind is CLASSES else datasets.Value(kind)}
    images = digits(range(3))["image"]
    folder = write_part(tmp_path / "d", "train", {"image": images[: len(train)], "label": train}, features)
    write_part(folder, "test", {"image": images[: len(test)], "label": test}, features)
    with pytest.raises(DataError, match=message):
        HfDatasetSource(str(folder))


def write_named_parts(folder: Path, parts: dict[str, range], config: str = "default") -> Path:
    """A dataset whose card gives its parts the names that they have here."""
    card = folder / "README.md"
    lines = card.read_text().splitlines()[:-1] if card.exists() else ["---", "configs:"]
    lines += [f"- config_name: {config}", "  data_files:"]
    for number, (part, indices) in enumerate(parts.items()):
        write_part(folder, f"{config}{number}", digits(indices), FEATURES)
        lines += [f"  - split: {part}", f"    path: {config}{number}-*.parquet"]
    card.write_text("\n".join([*lines, "---"]))
    return folder


def test_parts_have_several_spellings_and_those_not_read_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"test": range(12, 14), "dev": range(10, 12), "TRAIN": range(10), "extra": range(2)}
    folder = write_named_parts(tmp_path / "d", parts)
    source = HfDatasetSource(str(folder))
    assert source.labels.tolist() == DIGITS.labels[:12].tolist()
    assert source.test_indices is not None
    assert source.test_indices.tolist() == [10, 11]
    assert source.image(11).tobytes() == DIGITS.image(11).resize((12, 12)).tobytes()
    said = "training images are from TRAIN; the test part is dev; not read: test, extra"
    assert f"hfds/{folder}: {said}\n" in capsys.readouterr().err


def test_a_configuration_is_named_after_a_colon(tmp_path: Path) -> None:
    folder = write_named_parts(tmp_path / "d", {"train": range(3)}, "small")
    write_named_parts(folder, {"train": range(9), "test": range(9, 12)}, "large")
    source = open_source(f"hfds/{folder}:large")
    assert source.name == f"hfds/{folder}:large"
    assert source.title == "Hugging Face dataset d:large"
    assert source.labels.tolist() == DIGITS.labels[:12].tolist()
    assert len(open_source(f"hfds/{folder}:small").labels) == 3
    for name in (f"hfds/{folder}", f"hfds/{folder}:huge"):
        with pytest.raises(DataError, match=r"'small', 'large'.*; give hfds/NAME or hfds/NAME:CONFIG"):
            open_source(name)
    colon = write_part(tmp_path / "a:b", "train", digits(range(2)), FEATURES)
    assert len(open_source(f"hfds/{colon}").labels) == 2


def test_datasets_that_cannot_be_loaded_say_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hfds/nobody/nothing: cannot be loaded \(.+\); give hfds/NAME"):
        open_source("hfds/nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be loaded"):
        HfDatasetSource(str(tmp_path / "empty"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"cannot be loaded \(.*[Pp]arquet.*\)") as caught:
        HfDatasetSource(str(tmp_path / "broken"))
    assert "\n" not in str(caught.value)
    folder = write_part(tmp_path / "tested", "test", digits(range(3)), FEATURES)
    with pytest.raises(DataError, match=r"no part called 'train'; it has: test"):
        HfDatasetSource(str(folder))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"bytes": b"not an image", "path": "a.png"}, "not an image that Pillow can read"),
        ({"bytes": None, "path": "gone.png"}, "cannot be opened"),
        (None, r"cannot be opened \(the row holds no image\)"),
    ],
)
def test_an_unreadable_image_is_named(tmp_path: Path, stored: dict[str, Any] | None, message: str) -> None:
    content = digits(range(3))
    content["image"][1] = stored
    folder = tmp_path / "d"
    folder.mkdir()
    # to_parquet of datasets would try to read the file that is gone.
    table = datasets.Dataset.from_dict(content, features=datasets.Features(FEATURES))
    import pyarrow.parquet as pq

    pq.write_table(table.data.table, folder / "train.parquet")
    source = HfDatasetSource(str(folder))
    assert source.image(2).size == (12, 12)
    with pytest.raises(DataError, match=rf"hfds/{folder}: image 1 \(train, row 1\).*{message}"):
        source.image(1)


def test_the_fingerprint_is_of_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_digits_dataset(tmp_path / "digits")
    before = HfDatasetSource(str(folder)).fingerprint()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "another" / "cache")
    elsewhere = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert HfDatasetSource(str(elsewhere)).fingerprint() == before
    changes = [{"label": [1] * 20}, {"image": digits(range(20))["image"]}]
    for number, change in enumerate(changes):
        other = shutil.copytree(folder, tmp_path / f"other{number}")
        write_part(other, "validation", digits(range(40, 60)) | change, FEATURES)
        assert HfDatasetSource(str(other)).fingerprint() != before


def test_a_source_may_be_sent_to_another_process(tmp_path: Path) -> None:
    source = HfDatasetSource(str(write_digits_dataset(tmp_path / "digits")))
    sent = pickle.dumps(source)
    assert len(sent) < 50_000  # the images stay in their files
    copy = pickle.loads(sent)
    assert copy.image(45).tobytes() == source.image(45).tobytes()
    assert np.array_equal(copy.labels, source.labels)


def test_without_the_package_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # as Python marks what cannot be imported
    with pytest.raises(
        DataError, match=r"needs the package 'datasets'.*pip install \"anas-zoo\[hf-datasets\] @ git"
    ):
        open_source("hfds/cifar10")
