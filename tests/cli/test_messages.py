"""What somebody reads who made a mistake: the right key, the unit, the kind of file, the next command."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import refused
from searching_digits import make_run

PNG = "image.png"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--set", "epochs=8", "--out", "out"],
            "recipe digits: unknown key 'epochs' (did you mean 'train.epochs' or 'winners.epochs'?)",
        ),
        (
            ["train", "--set", "images=8", "--out", "out"],
            "(did you mean 'train.evaluation.images' or 'search.images'?)",
        ),
        (
            ["import", "attentive-nas", PNG, "--data", ".", "--entries", "out"],
            "it is truncated or another kind of file (a PNG image); give the AttentiveNAS",
        ),
        (
            ["finetune", "digits_s", "--data", "digits", "--recipe", PNG, "--out", "out"],
            "cannot be read as text, it is a PNG image",
        ),
        (["search", "--space", "digits", "--predictor", PNG], "can run (it is a PNG image)"),
        (["publish", "digits_s", "--to", "."], ". already holds 1 item; give another --to"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    arguments: list[str],
    said: str,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(image.parent)
    message = refused(capsys, *arguments)
    assert said in message
    assert "rm -r ." not in message
    assert [path.name for path in image.parent.iterdir()] == [PNG]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["search", "run", "--max-latency-ms", "0.3ms"],
            "'--max-latency-ms': give a number, without a unit; see: anas search --help",
        ),
        (["list", "--max-latency-ms", "3ms"], "'--max-latency-ms': give a number, without a unit; see:"),
        (["search", "run", "--evaluations", "1e3"], "'--evaluations': give a whole number; see:"),
        (
            ["import", "attentive_nas", "x", "--data", ".", "--entries", "o"],
            "no command 'attentive_nas' (did you mean 'attentive-nas'?); see: anas import --help",
        ),
    ],
)
def test_a_number_and_its_unit(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, *arguments, code=2)
    assert said in message
    assert "Value error" not in message


def test_a_run_without_its_supernet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "a run")
    shutil.rmtree(run / "supernet")
    assert refused(capsys, "search", run).endswith(f"train it: anas train --out '{run}' --resume")
