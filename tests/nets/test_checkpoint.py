from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from random_spaces import space_configs
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from supernet_folders import ORIGIN, SPACE, fresh_supernet, write_old_supernet, write_supernet

from anas_zoo.core.errors import AnasError, CheckpointError, EntryError
from anas_zoo.core.files import sha256_file
from anas_zoo.entry import SupernetFolder
from anas_zoo.nets import Supernet, load_supernet
from anas_zoo.space import SearchSpace, SpaceConfig

FILE = "supernet.safetensors"


def change_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Another file of weights, and its hash in the record."""
    save_file(tensors, folder / FILE, {"format": "pt"})
    record = json.loads((folder / "supernet.json").read_text())
    record["weights"]["sha256"] = sha256_file(folder / FILE)
    (folder / "supernet.json").write_text(json.dumps(record))


def refused(folder: Path, error: type[AnasError], match: str) -> None:
    with pytest.raises(error, match=match) as caught:
        load_supernet(folder)
    assert "\n" not in str(caught.value)


def test_a_supernet_comes_back_with_its_space(tmp_path: Path) -> None:
    supernet = fresh_supernet()
    config = write_supernet(tmp_path, supernet)
    again = load_supernet(tmp_path)
    assert again.space.id == SPACE.id
    assert again.num_classes == 10
    images = torch.randn(2, 3, 10, 10)
    assert torch.equal(supernet(images, SPACE.smallest), again(images, SPACE.smallest))
    assert all(parameter.requires_grad for parameter in again.parameters())
    found = SupernetFolder.read(tmp_path)
    assert found.config == config
    assert (found.name, found.space.id, found.weights.lineage) == ("digits", SPACE.id, (ORIGIN,))
    assert found.weights.sha256 == sha256_file(tmp_path / FILE)
    assert not found.is_published
    assert load_supernet(found).num_classes == 10


@given(space_configs())
@settings(max_examples=15, deadline=None, database=None)
def test_a_supernet_of_any_space_comes_back(config: SpaceConfig) -> None:
    space = SearchSpace(config)
    supernet = Supernet(space, 3, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as place:
        write_supernet(Path(place), supernet, label_names=None)
        again = load_supernet(Path(place))
    assert (again.space.id, again.space.largest) == (space.id, space.largest)
    before, after = supernet.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_weights_are_the_same_bytes_in_every_record(tmp_path: Path) -> None:
    write_supernet(tmp_path / "a")
    write_supernet(tmp_path / "b")
    write_supernet(tmp_path / "c", name="other", licence=None, lineage=[])
    first, second, third = ((tmp_path / name / FILE).read_bytes() for name in "abc")
    assert first == second == third
    with safe_open(tmp_path / "a" / FILE, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_supernet_of_version_0_2_still_loads(tmp_path: Path) -> None:
    supernet = write_old_supernet(tmp_path)
    again = load_supernet(tmp_path)
    assert (again.space.id, again.num_classes) == (SPACE.id, 10)
    images = torch.randn(2, 3, 10, 10)
    assert torch.equal(supernet(images, SPACE.largest), again(images, SPACE.largest))
    save_file(load_file(tmp_path / FILE), tmp_path / FILE)
    refused(tmp_path, CheckpointError, r"is not a supernet of anas-zoo, which has a supernet\.json beside it")


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_a_truncated_file_is_one_line(tmp_path: Path, keep: int) -> None:
    write_supernet(tmp_path)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:keep])
    refused(tmp_path, CheckpointError, "truncated or no safetensors file")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "none", EntryError, "no such folder; a supernet is a folder with a supernet.json")
    refused(tmp_path, EntryError, r"supernet\.json: no such file")
    write_supernet(tmp_path)
    whole = {k: v.clone() for k, v in load_file(tmp_path / FILE).items()}  # not mapped: it is rewritten
    change_tensors(
        tmp_path, {k: v for k, v in whole.items() if k != "mix.weight"} | {"extra": torch.zeros(1)}
    )
    refused(
        tmp_path,
        CheckpointError,
        r"the space digits: mix\.weight is missing .* extra F32 \(1,\) instead of no",
    )
    change_tensors(tmp_path, {k: v.half() if v.is_floating_point() else v for k, v in whole.items()})
    refused(tmp_path, CheckpointError, r"stem\.conv\.weight F16 .* instead of F32 .* and \d+ more")
    whole["mix.weight"][3, 1] = torch.inf
    change_tensors(tmp_path, whole)
    refused(tmp_path, CheckpointError, r"mix\.weight holds values that are not finite")
    (tmp_path / FILE).unlink()
    refused(tmp_path, EntryError, r"lacks supernet\.safetensors, which supernet\.json names")


def test_other_weights_than_the_records_are_refused(tmp_path: Path) -> None:
    write_supernet(tmp_path)
    write_supernet(tmp_path / "other", fresh_supernet(1))
    (tmp_path / FILE).write_bytes((tmp_path / "other" / FILE).read_bytes())
    refused(tmp_path, EntryError, r"is not the file that supernet\.json names \(SHA-256 differs\)")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"label_names": ["a"]}, "1 label_names for 10 classes"),
        ({"name": "a b"}, "name: String should match"),
        ({"source": ""}, r"source"),
        ({"label_names": ["a\x1b"] + ["b"] * 9}, "hidden characters"),
    ],
)
def test_parts_that_do_not_fit_write_nothing(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    with pytest.raises(AnasError, match=said):
        write_supernet(tmp_path / "new", **parts)
    assert not (tmp_path / "new").exists()
