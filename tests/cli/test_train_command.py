from __future__ import annotations

from pathlib import Path

import pytest
import torch
from command_line import refused, succeeded

from anas_zoo.cli import main

QUICK = ["--set", "train.epochs=1", "--set", "train.warmup_epochs=0.5", "--set"]
QUICK += ["train.sampling.prior_draws=5000", "--set", "train.subnets_per_step=2"]


def test_resume_begins_goes_on_and_is_content_with_what_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert "trained" in succeeded(capsys, "train", "--out", out, "--resume", *QUICK)
    weights = (out / "supernet" / "supernet.safetensors").read_bytes()
    assert "already holds" in refused(capsys, "train", "--out", out, *QUICK)
    (out / "supernet" / "supernet.safetensors").unlink()
    for name in ("metrics.jsonl", "training.png"):
        (out / "supernet" / name).unlink()
    message = refused(capsys, "train", "--out", out, *QUICK)
    assert f"go on with: anas train --out {out} --resume" in message
    # The recipe is the run's own; the training itself is done, so this only writes its end again.
    assert "trained" in succeeded(capsys, "train", "--out", out, "--resume")
    assert (out / "supernet" / "supernet.safetensors").read_bytes() == weights
    before = (out / "supernet" / "supernet.safetensors").stat().st_mtime_ns
    assert "trained" in succeeded(capsys, "train", "--out", out, "--resume")
    assert (out / "supernet" / "supernet.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "train.epochs"], "give KEY=VALUE"),
        (["--set", "train.epochs=[1"], "not valid YAML"),
        (["--set", "train.epoch=3"], "did you mean 'epochs'?"),
        (["--set", "train.epochs=many"], "train.epochs: Input should be a valid integer"),
        (["--sampling", "bestupp"], "'fairnas' or 'ofa' (given 'bestupp')"),
        (["--set", "train.distillation.loss=beta"], "'kl', 'alpha' or 'none'"),
        (["--set", "train.stream.auto_augment=v9"], "auto_augment"),
        (["--device", "gpu"], "give auto, cpu or cuda as --device"),
        (["--recipe", "imagenet_attentivenass"], "did you mean 'imagenet_attentivenas'?"),
        (["--recipe", "imagenet_1gpu"], "this recipe has no images of its own; give --data DIR"),
        (["--recipe", "small_images"], "this recipe has no images of its own; give --data DIR"),
        (["--set", "train.batch_size=7", "--set", "train.accumulation=2"], "cannot be cut into"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in refused(capsys, "train", "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_run_that_failed_before_it_began_can_be_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    wrong = ["--set", "train.sampling.quality=predictor"]
    wrong += ["--set", f"train.sampling.predictor={tmp_path}/x.onnx"]
    assert "no predictor at" in refused(capsys, "train", "--out", out, *QUICK, *wrong)
    assert main(["train", "--out", str(out), *QUICK]) == 0
    assert "no --recipe given, so it is digits, on the digits of scikit-learn" in capsys.readouterr().err


def test_a_gpu_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    message = refused(capsys, "train", "--out", tmp_path / "run", "--device", "cuda")
    assert message.startswith("torch finds no GPU here")
    assert not (tmp_path / "run").exists()


def test_a_resume_with_another_recipe_names_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    succeeded(capsys, "train", "--out", out, *QUICK)
    message = refused(capsys, "train", "--out", out, "--resume", "--set", "train.learning_rate=0.5")
    assert "train.learning_rate: 0.25 there, 0.5 here" in message
