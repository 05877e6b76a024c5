"""The folder as one object: every part is read once, and checked when it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from catalog_entries import FIRST_FORMAT

from anas_zoo.core import files
from anas_zoo.core.errors import EntryError
from anas_zoo.entry import Entry, manifest
from anas_zoo.entry import folder as folder_module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIRST_FORMAT, tmp_path / "digits_s"))


def test_every_part_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return files.sha256_file(path)

    for module in (folder_module, manifest):
        monkeypatch.setattr(module, "sha256_file", counted)
    found = Entry.read(folder)
    parts = (found.config, found.report, found.golden, found.manifest, found.files)
    found.check_hashes()
    assert sorted(hashed) == sorted(found.manifest.files)
    shutil.rmtree(folder)
    assert (found.config, found.report, found.golden, found.manifest, found.files) == parts
    assert found.sha256("model.onnx") == found.report.files["model.onnx"].sha256


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    missing = Entry(tmp_path / "nothing")
    with pytest.raises(EntryError, match="no such folder"):
        _ = missing.config
    with pytest.raises(EntryError, match="no such folder"):
        Entry.read(tmp_path / "nothing")


def test_a_stage_goes_on_with_what_it_wrote(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    before = Entry.read(folder)
    former, golden = before.sha256("model.onnx"), before.golden
    (folder / "model.onnx").write_bytes(b"another")
    report = before.report.model_copy(update={"refused": {"model.x.onnx": "too slow"}})
    after = before.updated(report, written="model.onnx")
    assert (after.report, after.golden) == (report, golden)
    assert after.config is before.config
    assert after.sha256("model.onnx") != former == before.sha256("model.onnx")
    assert Entry.read(folder).report == report
    assert not before.report.refused


def test_an_altered_file_is_found_unless_hashes_are_left_out(folder: Path) -> None:
    (folder / "README.md").write_text("other")
    with pytest.raises(EntryError, match=r"README\.md was altered"):
        Entry.read(folder)
    assert Entry.read(folder, check_hashes=False).name == "digits_s"


def test_an_entry_nearby_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(EntryError, match=rf"is not an entry, but these are: {folder}$"):
        Entry.read(tmp_path)
    (folder / "manifest.json").unlink()
    with pytest.raises(
        EntryError, match=r"a draft, so publish it first: anas_zoo\.publish\('.*', to='DIR'\)"
    ):
        _ = Entry(folder).manifest


def test_the_first_format_still_reads(folder: Path) -> None:
    """It repeated the resolution, and said nothing of transparent parts that were dropped."""
    old = json.loads((folder / "config.json").read_text())
    assert (old["anas"]["format"], old["anas"]["preprocessing"]["resolution"]) == (1, 6)
    config = Entry(folder).config
    assert config.anas.preprocessing.transparency == "dropped"
    new = config.to_dict()
    assert new["anas"]["format"] == 2
    assert "resolution" not in new["anas"]["preprocessing"]
    (folder / "config.json").write_text(json.dumps(new))
    assert Entry(folder).config == config
    old["anas"]["preprocessing"]["resolution"] = 7
    (folder / "config.json").write_text(json.dumps(old))
    with pytest.raises(EntryError, match=r"preprocessing\.resolution is 7"):
        _ = Entry(folder).config
    new["anas"]["preprocessing"]["resolution"] = 6
    (folder / "config.json").write_text(json.dumps(new))
    with pytest.raises(EntryError, match=r"unknown key 'anas\.preprocessing\.resolution'"):
        _ = Entry(folder).config


def test_reports_of_before_still_read(folder: Path) -> None:
    how = {"images": 512, "source": "x", "sha256": "0" * 64, "method": "minmax", "keep_float": []}
    line = {"target": "ort-cpu-int8", "size_bytes": 58000, "sha256": "0" * 64, "opset": 17}
    line["quantization"] = how | {"speedup": 1.1}  # without size and machine
    data = json.loads((folder / "report.json").read_text())
    data["files"] = {"model.ort-cpu-int8.onnx": line}
    (folder / "report.json").write_text(json.dumps(data))
    found = Entry(folder).report.files["model.ort-cpu-int8.onnx"].quantization
    assert found is not None
    told = "58 kB; 1.10 times as fast as float, on one thread of the machine that made it"
    assert found.beside_float(58000) == told
