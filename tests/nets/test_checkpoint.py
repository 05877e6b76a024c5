from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from anas_zoo.core.errors import CheckpointError
from anas_zoo.nets import Supernet, load_supernet, save_supernet
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")


def saved(path: Path) -> Supernet:
    supernet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0))
    save_supernet(path, supernet, {"recipe_sha256": "0"})
    return supernet


def test_a_supernet_comes_back_with_its_space(tmp_path: Path) -> None:
    supernet = saved(tmp_path / "s.safetensors")
    again = load_supernet(tmp_path / "s.safetensors")
    assert again.space.id == SPACE.id
    assert again.num_classes == 10
    images = torch.randn(2, 3, 10, 10)
    assert torch.equal(supernet(images, SPACE.smallest), again(images, SPACE.smallest))
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        saved(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_a_truncated_file_is_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "s.safetensors"
    saved(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="not a readable safetensors file") as caught:
        load_supernet(path)
    assert "\n" not in str(caught.value)


def test_missing_foreign_and_incomplete_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no supernet checkpoint"):
        load_supernet(tmp_path / "none")
    path = tmp_path / "s.safetensors"
    saved(path)
    tensors = load_file(path)
    save_file(tensors, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="not a supernet of anas-zoo"):
        load_supernet(tmp_path / "foreign")
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    del tensors["mix.weight"]
    tensors["stem.conv.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "lacking", header)
    with pytest.raises(CheckpointError, match=r'fit its space: .* "mix.weight".* stem.conv.weight') as caught:
        load_supernet(tmp_path / "lacking")
    assert "\n" not in str(caught.value)
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, tmp_path / "half", header)
    with pytest.raises(CheckpointError, match=r"holds torch.float16, expected torch.float32"):
        load_supernet(tmp_path / "half")
