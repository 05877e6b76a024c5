"""From once-for-all's files to supernets and entries, with random weights of the real shapes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from ofa_network import WITH_WEIGHTS, golden_supernet_state, hollow_supernet_state, write_specialised
from test_import_attentive_nas import write_classes, write_images

import anas_zoo
from anas_zoo.core.errors import CheckpointError, EntryError, OutputError
from anas_zoo.entry import Calibration, Entry, SupernetFolder
from anas_zoo.entry.licence import OFA_TERMS
from anas_zoo.nets import load_supernet
from anas_zoo.nets.sources.ofa import PUBLISHED_SUPERNETS, git_blob_id
from anas_zoo.pipeline import import_ofa as stage
from anas_zoo.pipeline.import_ofa import import_ofa
from anas_zoo.pipeline.import_supernet import ImportedSupernet
from anas_zoo.pipeline.imported_entry import ImportedEntry
from anas_zoo.zoo import create_model, load_subnet, publish, verify
from anas_zoo.zoo.published import load_published
from anas_zoo.zoo.supernet_card import supernet_card

NET = WITH_WEIGHTS[0]
NAME = "ofa_lg_g8_11ms"


def supernet_file(folder: Path, width: str = "ofa_mbv3_w1.0") -> Path:
    path = folder / width
    torch.save({"state_dict": hollow_supernet_state(width)}, path)
    return path


@pytest.mark.parametrize("width", ["ofa_mbv3_w1.0", "ofa_mbv3_w1.2"])
def test_the_authors_own_file_becomes_a_supernet_under_its_licence(
    width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = supernet_file(tmp_path, width)
    monkeypatch.setitem(PUBLISHED_SUPERNETS, git_blob_id(path), "theirs")
    imported = import_ofa(path, tmp_path / "out")
    assert isinstance(imported, ImportedSupernet)
    config = SupernetFolder(imported.folder).config
    assert config.name == width.replace(".", "_")
    assert config.weights.licence == imported.licence == "MIT"
    assert "the once-for-all authors' own file theirs" in config.weights.source
    assert config.weights.source_sha256 == config.weights.lineage[0].sha256
    assert config.weights.lineage[0].terms == OFA_TERMS
    assert config.trained["imported"] == {
        "kind": "ofa",
        "file": width,
        "published_as": "theirs",
        "tensors": {"used": 411, "not used, counters of batches": 64, "missing": 0},
    }
    assert config.label_names is not None
    assert config.label_names[155] == "n02086240"
    assert (config.preprocessing.interpolation, config.preprocessing.crop_pct) == ("bilinear", 0.875)
    card = supernet_card(config)
    assert "authors' own file theirs" in card
    assert OFA_TERMS in card
    supernet = load_supernet(imported.folder)
    assert supernet.space.config.kernel_transform
    other = import_ofa(path, tmp_path / "other", name="mine", licence="Apache-2.0")
    assert SupernetFolder(other.folder).config.name == "mine"
    assert other.licence == "Apache-2.0"  # MIT lets changed weights be passed on under other terms


def test_another_file_has_no_licence_unless_it_is_given(tmp_path: Path) -> None:
    path = supernet_file(tmp_path)
    config = SupernetFolder(import_ofa(path, tmp_path / "out").folder).config
    assert config.weights.licence is None
    assert config.weights.lineage == ()
    assert "not one of the once-for-all authors' files" in supernet_card(config)
    given = SupernetFolder(import_ofa(path, tmp_path / "given", licence="CC-BY-4.0").folder).config
    assert [(one.name, one.licence, one.terms) for one in given.weights.lineage] == [
        ("ofa_mbv3_w1.0", "CC-BY-4.0", None)
    ]


@pytest.mark.slow
def test_an_imported_supernet_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    torch.save({"state_dict": golden_supernet_state("ofa_mbv3_w1.0")}, path)
    draft = import_ofa(path, tmp_path / "draft")
    with pytest.raises(EntryError, match="licence"):
        anas_zoo.publish(draft.folder, tmp_path / "published")
    anas_zoo.publish(draft.folder, tmp_path / "published", licence="MIT")
    anas_zoo.verify(tmp_path / "published")
    arch = load_supernet(tmp_path / "published").space.smallest
    images = torch.randn(2, 3, arch.resolution, arch.resolution, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(
            load_supernet(tmp_path / "published")(images, arch), load_supernet(draft.folder)(images, arch)
        )


def test_a_specialised_net_becomes_a_draft_with_its_own_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_specialised(tmp_path / "net", NET)
    known = next(model for model in load_published("ofa").models if model.name == NAME)
    monkeypatch.setattr(stage, "git_blob_id", lambda path: known.git_blob)
    imported = import_ofa(folder, tmp_path / "out")
    assert isinstance(imported, ImportedEntry)
    entry = Entry.read(imported.folder)
    config = entry.config
    assert entry.name == NAME
    assert config.anas.calibration == Calibration(kind="trained")
    assert json.loads((entry.folder / "config.json").read_text())["anas"]["calibration"] == {
        "kind": "trained"
    }
    assert config.anas.weights is not None
    assert config.anas.weights.licence == "MIT"
    assert f"authors' own file {NET['id']}" in config.anas.weights.source
    assert config.space.name == "ofa_mbv3_w1_0"
    assert config.anas.arch == Entry.read(anas_zoo.zoo.entry_folder(NAME)).config.anas.arch
    assert entry.report.cost is not None
    assert (entry.report.cost.macs, entry.report.cost.params) == (NET["macs"], NET["params"])
    assert imported.accuracy is None
    # The running statistics are the file's.
    state = torch.load(folder / "init", weights_only=True)["state_dict"]
    subnet = load_subnet(entry)
    assert subnet.is_calibrated()
    theirs = state["blocks.2.conv.depth_conv.bn.running_var"]
    assert torch.equal(subnet.get_buffer("stages.1.1.depthwise.bn.running_var"), theirs)
    assert create_model(entry.folder, pretrained=True).num_classes == 1000
    with pytest.raises(EntryError, match="accuracy"):  # no evidence, no release
        publish(entry.folder, tmp_path / "published")
    subnet.train()(torch.randn(2, 3, 64, 64))
    assert not subnet.is_calibrated()


@pytest.mark.slow
def test_labelled_images_measure_a_specialised_net_and_it_can_be_published(tmp_path: Path) -> None:
    folder = write_specialised(tmp_path / "net", NET)
    root = write_classes(tmp_path / "images", ["n01440764", "n01443537", "n02086240"], 4)
    imported = import_ofa(folder, tmp_path / "out", licence="MIT", data=root, name="mine")
    assert isinstance(imported, ImportedEntry)
    assert imported.accuracy is not None
    assert (imported.accuracy.images, imported.accuracy.split) == (12, "all")
    published = publish(imported.folder, tmp_path / "published")
    assert verify(published).golden_images == 8
    card = (published / "README.md").read_text()
    assert "Whether the weights were trained on these images is not known" in card
    assert "Batch norm has the statistics of the network's own training" in card
    assert "net/init, not one of the once-for-all authors' files" in card
    unlabelled = import_ofa(folder, tmp_path / "unlabelled", data=write_images(tmp_path / "loose"))
    assert isinstance(unlabelled, ImportedEntry)
    assert unlabelled.accuracy is None
    assert Entry.read(unlabelled.folder).config.label_names is not None


def test_wrong_inputs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path, out = supernet_file(tmp_path), tmp_path / "out"
    with pytest.raises(EntryError, match="data measures a specialised net"):
        import_ofa(path, out, data="digits")
    with pytest.raises(CheckpointError, match=r"run\.config: no such file"):
        import_ofa(tmp_path, out)
    with pytest.raises(EntryError, match="name"):
        import_ofa(path, out, name="a/b")
    assert not out.exists()
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OutputError, match="already holds"):
        import_ofa(path, out)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_the_command_says_what_was_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from anas_zoo.cli.run import main

    assert main(["import", "ofa", str(supernet_file(tmp_path)), "--out", str(tmp_path / "s")]) == 0
    said = capsys.readouterr().out
    assert "475 tensors in the file: 411 used, 64 not used (64 counters of batches), 0 missing" in said
    assert "weights: ofa_mbv3_w1.0, not one of the once-for-all authors' files" in said
    assert "no licence is known: give one with --licence" in said
    assert (
        main(["import", "ofa", str(tmp_path / "ofa_mbv3_w1.0"), "--out", str(tmp_path / "t"), "--json"]) == 0
    )
    data = json.loads(capsys.readouterr().out)
    assert data["coverage"]["missing"] == []
    assert len(data["coverage"]["used"]) == 411
