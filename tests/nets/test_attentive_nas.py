"""The authors' checkpoint files: both formats, with and without their class, and all that can be wrong."""

from __future__ import annotations

import os
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_network import SHAPES, authors_config, golden_state, hollow_state

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets import load_authors_checkpoint, read_authors_checkpoint

MIX = "last_conv.feature_mix_layer.conv.conv.weight"


def _save(content: Any, path: Path, *, legacy: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def _error(path: Path) -> str:
    """The message of the refusal: one line that begins with the file's name."""
    with pytest.raises(CheckpointError) as caught:
        load_authors_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("legacy", [True, False], ids=["old format", "zip format"])
def test_the_whole_file_with_their_class(tmp_path: Path, legacy: bool) -> None:
    state = OrderedDict((f"module.{name}", value) for name, value in hollow_state().items())
    with authors_config() as config:
        args = config(arch="attentive_nas_dynamic_model", n=3, nested=config(a=[1, (2.0, None)]))
        args.seed = 0  # an attribute of the instance, beside its items
        content = {"epoch": 360, "args": args, "state_dict": state, "optimizer": {"lr": 0.1}}
        path = _save(content | {"lr_scheduler": None}, tmp_path / "supernet.pth.tar", legacy=legacy)
    assert "utils.config" not in sys.modules
    assert len(state) == len(SHAPES) == 1468
    supernet = load_authors_checkpoint(path)
    assert supernet.num_classes == 1000
    assert all(bool((p == 0.5).all()) and p.requires_grad for p in supernet.parameters())
    with pytest.raises(Exception, match=r"utils\.config\.Config"):  # their class stays refused elsewhere
        torch.load(path, weights_only=True)


def test_every_tensor_lands_where_it_belongs(tmp_path: Path) -> None:
    theirs = golden_state()
    supernet = load_authors_checkpoint(_save(theirs, tmp_path / "bare.pth"))
    ours = supernet.state_dict()

    def same(our_name: str, their_name: str) -> bool:
        return torch.equal(ours[our_name], theirs[their_name])

    block = "blocks.{}.mobile_inverted_conv."
    assert same("stem.conv.weight", "first_conv.conv.conv.weight")
    assert same("stages.0.1.depthwise.conv.weight", block.format(1) + "depth_conv.conv.conv.weight")
    assert same("stages.1.0.expand.bn.running_var", block.format(2) + "inverted_bottleneck.bn.bn.running_var")
    assert same("stages.2.0.se.reduce.bias", block.format(7) + "depth_conv.se.fc.reduce.bias")
    assert same("stages.3.0.shortcut.conv.weight", "blocks.13.shortcut.conv.conv.weight")
    assert same("stages.6.1.project.bn.weight", block.format(36) + "point_linear.bn.bn.weight")
    assert same("head.bn.running_mean", "last_conv.final_expand_layer.bn.bn.running_mean")
    assert same("mix.weight", MIX)
    assert same("classifier.weight", "classifier.linear.linear.weight")
    # Every tensor of ours holds what was drawn for exactly one of theirs.
    sums = {(tuple(t.shape), float(t.double().sum())) for t in theirs.values()}
    assert all((tuple(t.shape), float(t.double().sum())) in sums for t in ours.values())


def test_what_no_architecture_uses_may_be_absent(tmp_path: Path) -> None:
    dead = {f"blocks.{n}.shortcut.conv.conv.weight" for n in range(37)} - {
        f"blocks.{n}.shortcut.conv.conv.weight" for n in (0, 2, 7, 13, 19, 27, 35)
    }
    state = {
        name: value
        for name, value in hollow_state().items()
        if "bn_tracking" not in name and "num_batches" not in name and name not in dead
    }
    assert len(state) < 1468 - 30
    load_authors_checkpoint(_save(state, tmp_path / "lean.pth"))


def test_every_tensor_of_the_file_is_accounted_for(tmp_path: Path) -> None:
    state = hollow_state()
    del state["blocks.1.shortcut.conv.conv.weight"]
    path = _save({"epoch": 3, "state_dict": state}, tmp_path / "a.pth")
    before = torch.get_rng_state()
    supernet, coverage = read_authors_checkpoint(path)
    assert torch.equal(before, torch.get_rng_state())
    unused = [name for names in coverage.unused.values() for name in names]
    assert sorted([*coverage.used, *unused]) == sorted(state)
    wanted = [name for name in supernet.state_dict() if not name.endswith("num_batches_tracked")]
    assert len(coverage.used) == len(wanted)
    assert coverage.absent == ("blocks.1.shortcut.conv.conv.weight",)
    assert coverage.other == ("epoch",)
    assert f"1467 tensors in the file: {len(wanted)} used, {len(unused)} not used" in coverage.describe()
    assert coverage.to_dict()["missing"] == []


def test_the_number_of_classes_is_the_classifiers(tmp_path: Path) -> None:
    state = hollow_state()
    state["classifier.linear.linear.weight"] = torch.zeros(7, 1984)
    state["classifier.linear.linear.bias"] = torch.zeros(7)
    path = _save(state, tmp_path / "seven.pth")
    assert load_authors_checkpoint(path).num_classes == 7
    assert load_authors_checkpoint(path, num_classes=7).num_classes == 7
    with pytest.raises(CheckpointError, match="has 7 classes, 1000 were asked for"):
        load_authors_checkpoint(path, num_classes=1000)


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("legacy", [True, False], ids=["old format", "zip format"])
def test_nothing_in_the_file_is_run(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "marker"
    path = _save({"state_dict": hollow_state(), "args": _Evil(marker)}, tmp_path / "evil.pth", legacy=legacy)
    text = _error(path)
    assert "posix.mkdir" in text
    assert "nothing of it was run" in text
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the trap does work on whoever trusts the file
    assert marker.exists()


def test_many_missing_tensors_are_counted(tmp_path: Path) -> None:
    state = {name: value for name, value in hollow_state().items() if not name.startswith("blocks.")}
    text = _error(_save(state, tmp_path / "none.pth"))
    assert "blocks.0.mobile_inverted_conv.depth_conv.conv.conv.weight, " in text
    assert " more" in text
    assert len(text) < 1500


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    state = hollow_state()
    state[MIX] = torch.zeros(1984, 1296, 1, 1)
    state["surprise.weight"] = torch.zeros(1)
    state["first_conv.bn.bn.bias"] = torch.full((24,), float("nan"))
    state["first_conv.bn.bn.weight"] = torch.zeros(24, dtype=torch.int64)
    state["first_conv.bn.bn.running_mean"] = None
    del state["classifier.linear.linear.bias"]
    text = _error(_save({"state_dict": state}, tmp_path / "wrong.pth"))
    for part in (
        "1 missing: classifier.linear.linear.bias",
        f"1 of wrong shape: {MIX} is (1984, 1296, 1, 1), needed (1984, 1344, 1, 1)",
        "first_conv.bn.bn.weight (torch.int64)",
        "first_conv.bn.bn.running_mean (NoneType)",
        "1 unexpected: surprise.weight",
        "1 not finite: first_conv.bn.bn.bias",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            torch.nn.Linear(2, 3).state_dict(),
            "another network than the AttentiveNAS supernet; it has 'weight'",
        ),
        ({}, "another network"),
        ([1, 2], "holds no state dict, but list"),
        ({"state_dict": [1]}, "holds no state dict"),
        ({1: torch.zeros(1)}, "holds no state dict"),
    ],
)
def test_another_content(tmp_path: Path, content: Any, said: str) -> None:
    assert said in _error(_save(content, tmp_path / "odd.pth"))


@pytest.mark.parametrize("legacy", [True, False], ids=["old format", "zip format"])
def test_a_truncated_file(tmp_path: Path, legacy: bool) -> None:
    path = _save({"state_dict": hollow_state()}, tmp_path / "cut.pth", legacy=legacy)
    whole = path.read_bytes()
    for part in (0.01, 0.5, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert "truncated or another kind of file" in _error(path)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(b"")
    assert "empty" in _error(path)
    path.write_text("<html>404 Not Found</html>\n")
    assert "another kind of file (a web page)" in _error(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    assert "another kind of file" in _error(path)
    assert "is a folder" in _error(tmp_path)
    assert "no such file" in _error(tmp_path / "absent.pth")
