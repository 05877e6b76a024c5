"""From a file in the authors' format to entries, with random weights of the real shapes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anas_zoo import create_model
from anas_zoo.data import DigitsSource, FolderSource, eval_tensor
from anas_zoo.errors import CheckpointError, DataError, EntryError, OutputError
from anas_zoo.files import sha256_bytes
from anas_zoo.pipeline.import_authors import import_authors
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import Entry, publish, verify
from anas_zoo.zoo.draft import read_golden

sys.path.insert(0, str(Path(__file__).parents[1] / "nets"))
from golden_network import golden_state


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
    folders = import_authors(
        tmp_path / "s.pth",
        images,
        tmp_path / "out",
        models=["attentive_nas_a0"],
        searched=[searched],
        max_images=5,
    )
    assert folders == [
        tmp_path / "out" / "attentive_nas_a0",
        tmp_path / "out" / f"attentive_nas_{searched.id}",
    ]
    assert Entry.read(folders[1]).config.arch == searched
    entry = Entry.read(folders[0])
    assert entry.config.anas.weights is not None
    assert entry.config.anas.weights.licence == "CC-BY-NC-4.0"
    assert entry.config.anas.calibration is not None
    assert entry.config.anas.calibration.images == 5
    training = FolderSource(images / "train")  # the test part is left out
    calibrated_on = eval_tensor(training, [0, 1, 2, 3, 4], training.preprocessing, 192)
    assert entry.config.anas.calibration.sha256 == sha256_bytes(calibrated_on.numpy().tobytes())
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


@pytest.mark.slow
def test_the_mode_of_preprocessing_is_calibrated_for_and_recorded(tmp_path: Path) -> None:
    torch.save(golden_state(), tmp_path / "s.pth")
    images = FolderSource(write_images(tmp_path / "images"))
    (folder,) = import_authors(
        tmp_path / "s.pth",
        tmp_path / "images",
        tmp_path / "out",
        models=["attentive_nas_a0"],
        max_images=4,
        preprocessing="reference",
    )
    entry = Entry.read(folder)
    own = images.preprocessing.in_mode("reference")
    assert entry.config.anas.preprocessing.to_preprocessing() == own
    assert entry.config.anas.calibration is not None
    calibrated_on = eval_tensor(images, [0, 1, 3, 4], own, 192)
    assert entry.config.anas.calibration.sha256 == sha256_bytes(calibrated_on.numpy().tobytes())
    assert torch.equal(read_golden(folder, entry.config)[0], calibrated_on)
    assert "## Preprocessing (`reference`)" in (folder / "README.md").read_text()


def test_wrong_inputs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    images, out = write_images(tmp_path / "images", 2), tmp_path / "out"
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    with pytest.raises(EntryError, match="did you mean 'attentive_nas_a0'"):
        import_authors(tmp_path / "text.pth", images, out, models=["attentivenas_a0"])
    with pytest.raises(DataError, match="no data source"):
        import_authors(tmp_path / "text.pth", tmp_path / "none", out)
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        import_authors(tmp_path / "text.pth", images, out)
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OutputError, match="already holds"):
        import_authors(tmp_path / "text.pth", images, out)
