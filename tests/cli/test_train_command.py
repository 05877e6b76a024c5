from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from command_line import QUICK, refused, succeeded

import anas_zoo
from anas_zoo.cli import main
from anas_zoo.core.errors import AnasError
from anas_zoo.core.progress import LOGGER


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_trained_run_is_resumed_and_never_trained_twice(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run / "supernet" / "supernet.safetensors"
    weights = file.read_bytes()
    said = refused(capsys, "train", "--out", run, *QUICK)
    assert said.endswith(f"search it: anas search {run}; or give another --out")
    shutil.rmtree(run / "supernet")
    said = refused(capsys, "train", "--out", run, *QUICK)
    assert f"resume it: anas train --out {run} --resume; or begin anew after: rm -r {run}" in said
    # The recipe is the run's own; the training itself is done, so this only writes its end again.
    assert "trained" in succeeded(capsys, "train", "--out", run, "--resume")
    assert file.read_bytes() == weights
    before = file.stat().st_mtime_ns
    assert "trained" in succeeded(capsys, "train", "--out", run, "--resume")
    assert file.stat().st_mtime_ns == before


def test_train_is_a_function_too(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "handlers", [])  # as for whoever uses the library
    found = anas_zoo.train(run, resume=True)
    assert (found.run, found.supernet) == (run, run / "supernet" / "supernet.safetensors")
    with pytest.raises(AnasError, match=r"search it: anas_zoo\.search\('.*'\); or give another out"):
        anas_zoo.train(run, set_=QUICK[1::2])
    with pytest.raises(AnasError, match="did you mean 'epochs'"):
        anas_zoo.train(tmp_path / "new", set_={"train.epoch": 3})
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "train.epochs"], "give KEY=VALUE"),
        (["--set", "train.epoch=3"], "did you mean 'epochs'?"),
        (["--sampling", "bestupp"], "'fairnas' or 'ofa' (given 'bestupp')"),
        (["--device", "gpu"], "give auto, cpu or cuda as --device"),
        (["--recipe", "imagenet_attentivenass"], "did you mean 'imagenet_attentivenas'?"),
        (["--recipe", "own_images"], "this recipe has no images of its own; give --data DIR"),
        (["--set", "train.batch_size=7", "--set", "train.accumulation=2"], "cannot be cut into"),
    ],
)
def test_wrong_words_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in refused(capsys, "train", "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_run_that_failed_before_it_began_can_be_repaired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    wrong = ["--sampling", "bestup", "--set", "train.sampling.quality=predictor"]
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
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refused(capsys, "train", "--out", run, "--resume", "--set", "train.learning_rate=0.5")
    assert "train.learning_rate: 0.25 there, 0.5 here" in message
