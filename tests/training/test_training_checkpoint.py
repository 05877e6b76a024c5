from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from training_parts import make_supernet, make_trainer, same, tiny, train

from anas_zoo.core.errors import CheckpointError, DiskFullError
from anas_zoo.training.checkpoint import CheckpointFolder, TrainState
from anas_zoo.training.optimizer import make_optimizer


def state_after(steps: int, folder: CheckpointFolder, *, best: bool = False) -> TrainState:
    supernet = make_supernet(steps)
    optimizer = make_optimizer(supernet, tiny())
    for parameter in supernet.parameters():
        parameter.grad = torch.ones_like(parameter) * steps
    optimizer.step()
    state = TrainState(step=steps, rollbacks=1, images=10 * steps, counters={"tried": 3}, best=50.0)
    folder.save(supernet, optimizer, state, best=best)
    return state


def test_everything_comes_back(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, {"seed": 0}, keep=2)
    written = state_after(7, folder)
    supernet = make_supernet(1)
    optimizer = make_optimizer(supernet, tiny())
    assert folder.load_latest(supernet, optimizer) == written
    other, first = make_supernet(7), make_optimizer(make_supernet(7), tiny())
    assert not same(other.state_dict(), supernet.state_dict()), "a step has changed the weights"
    buffers = [optimizer.state[p]["momentum_buffer"] for p in supernet.parameters()]
    assert all(bool(((b - 7).abs() < 0.1).all()) for b in buffers)
    assert len(first.state) == 0


def test_the_last_n_and_the_best_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, {}, keep=2)
    for step in range(5):
        state_after(step, folder, best=step == 1)
    assert folder.steps() == [3, 4]
    with safe_open(tmp_path / "best.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["anas"])["state"]["step"] == 1


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = CheckpointFolder(tmp_path, {}, keep=3)
    for step in range(3):
        state_after(step, folder)
    for content in (folder.path(2).read_bytes()[:1000], b"", b"\x00" * 64):
        folder.path(2).write_bytes(content)
        supernet = make_supernet()
        found = folder.load_latest(supernet, make_optimizer(supernet, tiny()))
        assert found is not None
        assert found.step == 1
        assert "step-000000002.safetensors cannot be read" in capsys.readouterr().err
    for step in range(3):
        folder.path(step).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read"):
        folder.load_latest(supernet, make_optimizer(supernet, tiny()))


def test_a_checkpoint_of_another_training_names_the_difference(tmp_path: Path) -> None:
    state_after(1, CheckpointFolder(tmp_path, {"seed": 0, "train": {"epochs": 3, "x": [1, 2]}}, keep=1))
    other = CheckpointFolder(tmp_path, {"seed": 0, "train": {"epochs": 4, "x": [1, 3]}}, keep=1)
    supernet = make_supernet()
    with pytest.raises(
        CheckpointError, match=r"train.epochs: 3 there, 4 here; train.x\[1\]: 2 there, 3 here"
    ):
        other.load_latest(supernet, make_optimizer(supernet, tiny()))


@pytest.mark.slow
def test_a_full_disk_stops_the_training_with_the_last_checkpoint_intact(tmp_path: Path) -> None:
    """The limit on file sizes stands for the disk: the same write fails in the same way."""
    _, trainer = make_trainer(tmp_path / "cut", evaluate=_fill_up)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(DiskFullError, match=r"no space left while writing .*step-\d+\.safetensors"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    names = sorted(path.name for path in (tmp_path / "cut" / "checkpoints").iterdir())
    assert names == ["step-000000000.safetensors"], "the first is whole, of the second nothing is left"
    assert same(train(tmp_path / "cut"), train(tmp_path / "whole"))


def _fill_up() -> dict[str, float]:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    return {"smallest": 1.0}
