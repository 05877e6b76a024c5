from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from anas_zoo.core.errors import EntryError
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import MANIFEST, check_manifest, write_manifest
from anas_zoo.zoo import verify

pytest_plugins = ["zoo_fixtures"]

FILES = [
    "README.md", "config.json", "golden.safetensors", "model.onnx", "model.safetensors", "report.json",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found_in_every_file(entry: Path, name: str) -> None:
    content = bytearray((entry / name).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / name).write_bytes(content)
    with pytest.raises(EntryError, match=f"{name} was altered"):
        verify(entry)


def test_all_problems_are_told_at_once(entry: Path) -> None:
    (entry / "README.md").unlink()
    (entry / "extra.txt").write_bytes(b"x")
    with pytest.raises(EntryError, match=r"README\.md is missing; extra\.txt is not in the manifest"):
        verify(entry)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "golden.safetensors"])
def test_a_rewritten_manifest_does_not_hide_an_altered_file(entry: Path, name: str) -> None:
    content = bytearray((entry / name).read_bytes())
    content[-1] ^= 0x41  # of a tensor: sign and exponent of its last value
    (entry / name).write_bytes(content)
    write_manifest(entry)
    with pytest.raises(EntryError, match=r"SHA-256|golden logits|finite"):
        verify(entry)


def test_hidden_files_of_downloads_are_not_the_entrys(entry: Path) -> None:
    (entry / ".gitattributes").write_text("*.onnx filter=lfs")
    (entry / ".cache").mkdir()
    assert verify(entry).files == len(FILES)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "sub/file", "..", "a\\b", "", "x\n"])
def test_a_manifest_cannot_name_a_path_that_leads_out(entry: Path, name: str) -> None:
    data: dict[str, Any] = json.loads((entry / MANIFEST).read_text())
    data["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (entry / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(EntryError, match=r"not the plain name|hidden characters"):
        verify(entry)


def test_links_and_sub_folders_are_refused(entry: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes((entry / "model.onnx").read_bytes())
    (entry / "model.onnx").unlink()
    (entry / "model.onnx").symlink_to(tmp_path / "secret")  # the same content, even
    for step in (verify, check_manifest, write_manifest):
        with pytest.raises(EntryError, match=r"model\.onnx is a symbolic link"):
            step(entry)
    (entry / "model.onnx").unlink()
    (entry / "model.onnx").mkdir()
    with pytest.raises(EntryError, match="not a regular file"):
        write_manifest(entry)


def test_a_linked_or_broken_manifest_is_refused(entry: Path, tmp_path: Path) -> None:
    manifest = entry / MANIFEST
    text = manifest.read_text()
    manifest.write_text(text[: len(text) // 2])
    with pytest.raises(EntryError, match=r"manifest\.json: not valid JSON"):
        verify(entry)
    manifest.write_text(text.replace('"format"', '"fromat"'))
    with pytest.raises(EntryError, match=r"unknown key 'fromat' \(did you mean 'format'\?\)"):
        verify(entry)
    (tmp_path / "m").write_text(text)
    manifest.unlink()
    manifest.symlink_to(tmp_path / "m")
    with pytest.raises(EntryError, match="symbolic link"):
        verify(entry)
    manifest.unlink()
    with pytest.raises(EntryError, match=r"manifest\.json: no such file"):
        verify(entry)


def test_an_entry_without_weights_verifies_by_its_hashes(tmp_path: Path) -> None:
    source = resource_folder("models") / "attentive_nas_a0"
    result = verify(source)
    assert (result.files, result.golden_images, result.torch_max_abs_diff) == (3, 0, None)
    copy = Path(shutil.copytree(source, tmp_path / "a0"))
    (copy / "model.safetensors").write_bytes(b"surprise")
    write_manifest(copy)
    with pytest.raises(EntryError, match=r"states no weights, but model\.safetensors is there"):
        verify(copy)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="no such folder"):
        verify(tmp_path / "nothing")
