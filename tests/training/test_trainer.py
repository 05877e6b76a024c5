from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_parts import make_supernet, make_trainer, same, tiny, train

from anas_zoo.core.errors import TrainingError
from anas_zoo.data import Batch
from anas_zoo.training import StepReport, SupernetStep, read_metrics
from anas_zoo.training.metrics import Meter
from anas_zoo.training.step import DivergedError

Trained = tuple[Path, dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The folder and the weights of one uninterrupted training."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(folder)


def test_the_same_seed_gives_the_same_weights_to_the_last_bit(trained: Trained, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert same(train(tmp_path / "b"), trained[1])
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(trained[1]["mix.weight"], train(tmp_path / "c", seed=1)["mix.weight"])


@pytest.mark.parametrize(
    "sampling",
    [
        {"strategy": "worstup"},
        {"strategy": "ofa"},
        {"strategy": "bestup", "quality": "online"},
        {"strategy": "pool", "prior_bins": 5},
        {"strategy": "gradient"},
    ],
)
def test_every_strategy_trains_and_resumes_to_the_last_bit(tmp_path: Path, sampling: dict[str, Any]) -> None:
    recipe = tiny(sampling={"prior_draws": 5000, "prior_bins": 20, **sampling})
    whole = train(tmp_path / "whole", recipe)

    def stop() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the evaluation after the first epoch, before its checkpoint
        train(tmp_path / "cut", recipe, evaluate=stop)
    assert same(train(tmp_path / "cut", recipe), whole)


def test_every_weight_of_the_supernet_is_trained(trained: Trained) -> None:
    untrained = make_supernet()
    for name, parameter in untrained.named_parameters():
        assert not torch.equal(parameter, trained[1][name]), name
    for name, buffer in untrained.named_buffers():
        assert torch.equal(buffer, trained[1][name]), f"{name}: running statistics are not for the supernet"


def test_metrics_say_everything_in_json_and_tensorboard(trained: Trained) -> None:
    records = read_metrics(trained[0])
    assert [r["step"] for r in records if r["kind"] == "train"] == [2, 4, 6, 8, 10, 12]
    assert [r["step"] for r in records if r["kind"] == "evaluation"] == [4, 8, 12]
    last = [r for r in records if r["kind"] == "train"][-1]
    assert set(last["loss"]) == {"largest", "sampled", "smallest"}
    # 3 subnets and 3 candidates, 32 images, 12 steps
    assert last["images_forwarded"] == 6 * 32 * 12
    assert last["images_per_s"] > 0
    assert 0 <= last["data_wait_pct"] <= 100
    assert 0 < last["acceptance_pct"] <= 100
    assert last["learning_rate"] < records[0]["learning_rate"]
    board = EventAccumulator(str(trained[0] / "tensorboard")).Reload()
    assert [e.step for e in board.Scalars("train/loss/smallest")] == [2, 4, 6, 8, 10, 12]
    assert [e.step for e in board.Scalars("evaluation/top1_pct/largest")] == [4, 8, 12]


def test_the_best_by_the_evaluations_is_kept(tmp_path: Path) -> None:
    scores = iter([10.0, 30.0, 20.0])
    train(tmp_path, evaluate=lambda: {"smallest": next(scores), "largest": 40.0})
    from safetensors import safe_open

    with safe_open(tmp_path / "checkpoints" / "best.safetensors", framework="pt") as file:
        state = json.loads(file.metadata()["anas"])["state"]
    assert (state["step"], state["best"]) == (8, 35.0)


class Failing:
    """A step that meets a loss that is not finite at some of its calls."""

    def __init__(self, step: SupernetStep, at: Sequence[int]) -> None:
        self.model, self.sampler = step.model, step.sampler
        self._step, self._at, self.calls = step, set(at), 0

    def __call__(self, batches: Sequence[Batch], numbers: Sequence[int], moment: Any) -> StepReport:
        self.calls += 1
        if self.calls in self._at:
            raise DivergedError("the loss of the largest subnet became nan")
        return self._step(batches, numbers, moment)


def test_a_loss_that_is_not_finite_rolls_back_with_other_draws(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = train(tmp_path / "failed", wrap=lambda step: Failing(step, [7]))
    assert "step 7: the loss of the largest subnet became nan; back to step 4" in capsys.readouterr().err
    records = read_metrics(tmp_path / "failed")
    (rollback,) = [r for r in records if r["kind"] == "rollback"]
    assert (rollback["step"], rollback["failed_step"]) == (4, 7)
    assert [r["step"] for r in records if r["kind"] == "train"] == [2, 4, 6, 8, 10, 12], "no step twice"
    assert not same(failed, trained[1]), "the same draws would only fail again"


def test_too_many_rollbacks_stop_and_say_so(tmp_path: Path) -> None:
    recipe = tiny(max_rollbacks=2)
    with pytest.raises(
        TrainingError, match=r"after 2 returns .* checkpoint of step 4 is intact; use a lower"
    ):
        train(tmp_path, recipe, wrap=lambda step: Failing(step, [6, 7, 8]))
    assert len(train(tmp_path, recipe)) > 0, "and can be resumed"


def test_divergence_stops_with_advice(tmp_path: Path) -> None:
    recipe = tiny(learning_rate=1e12, epochs=20, warmup_epochs=0.0, max_rollbacks=1)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(tmp_path, recipe)


def test_a_long_training_is_tried_out_first_and_that_changes_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anas_zoo.training.trainer.LONG_STEPS", 1)
    calls: list[int] = []

    def evaluate() -> dict[str, float]:
        calls.append(1)
        return {"smallest": 1.0}

    tried = train(tmp_path / "tried", evaluate=evaluate)
    assert same(tried, trained[1])
    assert len(calls) == 4, "three epochs and the trial"

    def broken() -> dict[str, float]:
        raise TrainingError("the evaluation cannot work")

    _, trainer = make_trainer(tmp_path / "broken", evaluate=broken)
    with pytest.raises(TrainingError, match="cannot work"):
        trainer.run()
    assert read_metrics(tmp_path / "broken") == [], "before the first step of the real one"


def test_the_meter_counts_the_wait_for_data() -> None:
    import time

    def slow() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.05)
            yield number

    meter = Meter()
    for _ in meter.waiting(slow()):
        meter.count({"largest": 1.0}, 10)
        meter.count({"largest": 3.0}, 10)
    found = meter.report()
    assert found["loss"] == {"largest": 2.0}
    assert found["steps"] == 6
    assert found["data_wait_pct"] > 50
    assert meter.report()["steps"] == 0
