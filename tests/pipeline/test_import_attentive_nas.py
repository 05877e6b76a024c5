"""From a file in the authors' format to entries, with random weights of the real shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_network import golden_state, hollow_state
from torchvision.datasets import ImageFolder

from anas_zoo import create_model
from anas_zoo.core.errors import CheckpointError, DataError, EntryError, OutputError, SearchError
from anas_zoo.core.files import sha256_bytes, write_json
from anas_zoo.data import DigitsSource, FolderSource, balanced_choice, eval_tensor
from anas_zoo.data.chosen_images import CALIBRATION
from anas_zoo.data.sources import cropped_as_imagenet
from anas_zoo.entry import Entry, SupernetFolder
from anas_zoo.nets import load_authors_checkpoint, load_supernet
from anas_zoo.pipeline.image_roles import image_roles
from anas_zoo.pipeline.import_attentive_nas import import_attentive_nas
from anas_zoo.pipeline.matched_classes import class_names
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import publish, verify


def write_images(folder: Path, count: int = 6) -> Path:
    folder.mkdir(parents=True)
    for index in range(count):
        DigitsSource().image(index).resize((300, 260)).save(folder / f"{index}.jpg")
    return folder


@pytest.mark.slow
def test_a_checkpoint_becomes_a_verified_entry_calibrated_on_training_images(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in golden_state().items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "s.pth", _use_new_zipfile_serialization=False)
    images = tmp_path / "images"
    write_images(images / "train" / "some")
    write_images(images / "val" / "some", 3)
    a0 = SearchSpace.load("attentive_nas").smallest
    searched = replace(a0, width=(*a0.width[:-1], 1984))
    write_json(tmp_path / "searched.json", searched.to_dict())
    imported = import_attentive_nas(
        tmp_path / "s.pth",
        data=images,
        entries=tmp_path / "out",
        model=["attentive_nas_a0"],
        arch=[str(tmp_path / "searched.json")],
        calibration_images=5,
    )
    folders = imported.entries
    assert folders == (
        tmp_path / "out" / "attentive_nas_a0",
        tmp_path / "out" / f"attentive_nas_{searched.id}",
    )
    assert imported.accuracies == {folder.name: () for folder in folders}
    assert Entry.read(folders[1]).config.arch == searched
    entry = Entry.read(folders[0])
    assert entry.config.anas.weights is not None
    assert entry.config.anas.weights.licence == "CC-BY-NC-4.0"
    assert entry.config.anas.calibration is not None
    assert entry.config.anas.calibration.images == 5
    training = cropped_as_imagenet(FolderSource(images / "train"))  # the test part is left out
    chosen = balanced_choice(range(6), training.labels, 5, [0, CALIBRATION])
    calibrated_on = eval_tensor(training, chosen, training.preprocessing, 192)
    assert entry.config.anas.calibration.sha256 == sha256_bytes(calibrated_on.numpy().tobytes())
    assert np.array_equal(entry.golden.images, calibrated_on.numpy())
    assert entry.report.accuracy is None
    assert entry.report.cost is not None
    assert entry.report.cost.macs == 203_389_568
    assert entry.report.cost.params == 8_954_184
    verify(folders[0])
    model = create_model(str(folders[0]), pretrained=True).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 192, 192)).shape == (1, 1000)
    with pytest.raises(EntryError, match="accuracy"):  # no evidence, no release
        publish(folders[0], tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_wrong_inputs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "images", 2), tmp_path / "out"
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    with pytest.raises(EntryError, match="did you mean 'attentive_nas_a0'"):
        import_attentive_nas(tmp_path / "text.pth", data=images, entries=out, model=["attentivenas_a0"])
    with pytest.raises(SearchError, match="arch='2da0': give search='DIR', the search that evaluated it"):
        import_attentive_nas(tmp_path / "text.pth", data=images, entries=out, arch=["2da0"])
    with pytest.raises(DataError, match="no data source"):
        import_attentive_nas(tmp_path / "text.pth", data=tmp_path / "none", entries=out)
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        import_attentive_nas(tmp_path / "text.pth", data=images, entries=out)
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OutputError, match="already holds"):
        import_attentive_nas(tmp_path / "text.pth", data=images, entries=out)


def test_a_checkpoint_becomes_a_supernet(tmp_path: Path) -> None:
    torch.save({"state_dict": hollow_state()}, tmp_path / "s.pth")
    imported = import_attentive_nas(tmp_path / "s.pth", out=tmp_path / "out", preprocessing="reference")
    assert imported.supernet == tmp_path / "out"
    assert imported.entries == ()
    config = SupernetFolder(tmp_path / "out").config
    assert config.name == "attentive_nas"
    assert config.search_space().id == SearchSpace.load("attentive_nas").id
    assert config.weights.licence == "CC-BY-NC-4.0"
    assert [one.licence for one in config.weights.lineage] == ["CC-BY-NC-4.0"]
    assert config.preprocessing.mode == "reference"
    assert config.label_names is not None
    assert config.label_names[:2] == ("n01440764", "n01443537")
    theirs, ours = load_authors_checkpoint(tmp_path / "s.pth"), load_supernet(tmp_path / "out")
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


def test_what_is_made_has_to_be_said(tmp_path: Path) -> None:
    file = tmp_path / "s.pth"
    for options, said in (
        ({}, "give out='SUPERNET', entries='DIR' or both"),
        ({"out": tmp_path / "s", "data": "digits"}, "data is for entries; give entries='DIR' too"),
        ({"entries": tmp_path / "e"}, "entries are calibrated on images; give data='DIR' too"),
    ):
        with pytest.raises(EntryError) as caught:
            import_attentive_nas(file, **options)
        assert str(caught.value) == said


def write_classes(root: Path, names: list[str], each: int) -> Path:
    """Class folders of digits, each with its own digit."""
    digits = DigitsSource()
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for number, index in enumerate((digits.labels == label).nonzero()[0][:each]):
            digits.image(int(index)).resize((200, 180)).save(root / name / f"{number}.png")
    return root


@pytest.mark.slow
def test_labelled_images_measure_accuracy_and_the_entry_can_be_published(tmp_path: Path) -> None:
    torch.save(golden_state(), tmp_path / "s.pth")
    root = write_classes(tmp_path / "images", ["n01440764", "n01443537", "n02086240"], 5)
    unreadable = root / "n01440764" / "0.png"
    unreadable.write_bytes(unreadable.read_bytes()[:-40])
    imported = import_attentive_nas(
        tmp_path / "s.pth",
        data=root,
        entries=tmp_path / "out",
        model=["attentive_nas_a0"],
        preprocessing="reference",
    )
    assert imported.calibration_images == 11  # every fifth of each class is held out
    (folder,) = imported.entries
    entry = Entry.read(folder)
    report, labels = entry.report, entry.config.label_names
    assert labels is not None
    assert len(labels) == 1000
    assert labels.index("n02086240") == 155  # Shih-Tzu
    assert report.accuracy is not None
    assert imported.accuracies == {"attentive_nas_a0": (report.accuracy, *report.further_accuracy)}
    assert [a.preprocessing for a in imported.accuracies["attentive_nas_a0"]] == ["reference", "native"]
    assert (report.accuracy.images, report.accuracy.split) == (3, "held out of calibration")
    # The same number by hand: image 4 of each class, by the network as it was published.
    source = FolderSource(root)
    own = source.preprocessing.in_mode("reference")
    assert entry.config.anas.preprocessing == own
    images = eval_tensor(source, [4, 9, 14], own, 192)
    with torch.no_grad():
        best = create_model(folder, pretrained=True).eval()(images).argmax(1)
    hits = int((best == torch.tensor([0, 1, 155])).sum())
    assert report.accuracy.top1_pct == pytest.approx(100 * hits / 3)
    card = (folder / "README.md").read_text()
    assert "## Preprocessing (`reference`)" in card
    assert "Whether the weights were trained on them is not known" in card
    assert "neither training nor search has seen" not in card
    published = publish(folder, tmp_path / "published" / "attentive_nas_a0")
    weights = Entry.read(published).config.anas.weights
    assert weights is not None
    assert weights.licence == "CC-BY-NC-4.0"


def test_classes_are_known_by_wordnet_id_by_description_or_by_their_number(tmp_path: Path) -> None:
    def names_of(*folders: str, classes: int = 1000) -> tuple[str, ...] | None:
        root = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for folder in folders:
            (root / folder).mkdir(parents=True)
            DigitsSource().image(0).save(root / folder / "0.png")
        return class_names(FolderSource(root), classes)

    by_id, by_words = names_of("n01440764"), names_of("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert by_id is not None
    assert by_words is not None
    assert by_id[:2] == ("n01440764", "n01443537")
    assert by_words[:2] == ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert names_of("n00000001", "n01440764") is None
    assert names_of("crane", "goldfish, Carassius auratus") is None  # two classes are called crane
    assert names_of("a", "b") is None
    assert names_of("b", "a", classes=2) == ("a", "b")


def test_classes_of_folders_are_numbered_as_torchvision_does(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "images", ["2", "10", "1", "a", "B", "é", "n1.5"], 1)
    names = class_names(FolderSource(root), 7)
    assert names == tuple(ImageFolder(root).classes)
    assert names == ("1", "10", "2", "B", "a", "n1.5", "é")
    digits = DigitsSource()
    digits.label_names = tuple("9876543210")  # no folder: an order of its own
    assert class_names(digits, 10) == digits.label_names


def test_no_image_is_calibrated_on_and_evaluated(tmp_path: Path) -> None:
    source = FolderSource(write_classes(tmp_path / "one", ["a", "b"], 11))
    roles = image_roles(source, labelled=True, max_calibration=100, max_evaluation=100)
    assert not set(roles.calibration) & set(roles.evaluation)
    assert len(roles.calibration) + len(roles.evaluation) == 22
    assert sorted(source.labels[roles.evaluation]) == [0, 0, 1, 1]
    unlabelled = image_roles(source, labelled=False, max_calibration=100, max_evaluation=100)
    assert (len(unlabelled.calibration), unlabelled.evaluation) == (22, [])
    write_classes(tmp_path / "two" / "train", ["a", "b"], 4)
    write_classes(tmp_path / "two" / "val", ["a", "b"], 3)
    parts = image_roles(FolderSource(tmp_path / "two"), labelled=True, max_calibration=5, max_evaluation=4)
    assert (len(parts.calibration), len(parts.evaluation), parts.split) == (5, 4, "test")
    assert max(parts.calibration) < 8 <= min(parts.evaluation)
