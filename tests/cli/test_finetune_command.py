"""``anas finetune`` as users type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import files_below, refused, succeeded
from letters import write_letters

from anas_zoo.cli import main

QUICK = ["--set", "train.epochs=2", "--set", "train.batch_size=16", "--set", "threads=1"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_letters(tmp_path_factory.mktemp("data") / "letters", per_class=20)


@pytest.mark.slow
def test_from_the_shelf_to_a_published_entry_of_other_classes(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, entry = tmp_path / "run", tmp_path / "entry"
    arguments: list[str | Path] = ["finetune", "digits_s", "--data", images, "--out", run, *QUICK]
    more = ["--name", "letters", "--licence", "CC-BY-4.0", "--seed", "3", "--device", "cpu"]
    assert main([str(argument) for argument in (*arguments, *more)]) == 0
    captured = capsys.readouterr()
    assert "top-1 on the search split: subnet" in captured.err
    draft = run / "subnets" / "letters"
    lines = captured.out.splitlines()
    assert lines[0].split() == ["name", "top-1", "%", "MFLOPs", "latency", "ms", "ONNX", "kB", "logit",
                                "diff", "agree", "%"]  # fmt: skip
    assert lines[2].startswith("letters ")
    assert lines[-2:] == [
        f"fine-tuned {draft}",
        f"  publish it, under CC-BY-4.0 or with another --licence: anas publish {draft} --to DIR",
    ]
    recipe = json.loads((run / "run.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["train"]["epochs"], recipe["licence"]) == (3, 2, "CC-BY-4.0")

    shown = json.loads(succeeded(capsys, "validate", draft, "--json"))
    assert shown["model.onnx"]["images"] == len(json.loads((run / "split.json").read_text())["test"])
    succeeded(capsys, "publish", draft, "--to", entry)
    assert "letters: verified" in succeeded(capsys, "verify", entry)
    assert (
        "(CC-BY-4.0" in succeeded(capsys, "show", entry) or "CC-BY-4.0" in (entry / "README.md").read_text()
    )
    predicted = json.loads(succeeded(capsys, "predict", entry, next((images / "L").iterdir()), "--json"))
    assert {one["label"] for one in predicted[0]["predictions"]} == set("7ALO")

    again = refused(capsys, *arguments, *more, "--resume")
    assert "already holds this run, finished" in again
    assert "is the folder of a run of: anas finetune" in refused(capsys, "search", run)


@pytest.mark.slow
def test_a_stopped_one_goes_on_with_resume_alone(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    arguments: list[str | Path] = ["finetune", "digits_s", "--data", images, "--out", run, *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("anas_zoo.pipeline.fixed_training.top1_pct", _interrupt)
        assert main([str(argument) for argument in arguments]) == 130
    capsys.readouterr()
    assert "--resume; or begin anew" in refused(capsys, *arguments)
    said = refused(capsys, "finetune", "digits_m", "--out", run, "--resume")
    assert "entry.name: 'digits_s' there, 'digits_m' here" in said
    assert "(seed: 0 there, 1 here" in refused(
        capsys, "finetune", "digits_s", "--out", run, "--resume", "--seed", "1"
    )
    assert main(["finetune", "digits_s", "--out", str(run), "--resume", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["draft"] == str(run / "subnets" / "digits_s_finetuned")
    assert result["licence"] == "Apache-2.0"
    assert result["macs"] > 0


def _interrupt(*_: object) -> float:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["digits_x", "--data", "{images}"],
            1,
            "no model named 'digits_x' on the shelf (did you mean 'digits_",
        ),
        (["digits_s"], 1, "give --data DIR"),
        (["digits_s", "--data", "digit"], 1, "no data source 'digit' (did you mean 'digits'?)"),
        (["digits_s", "--data", "{images}", "--set", "train.epoch=1"], 1, "did you mean 'epochs'?"),
        (["digits_s", "--data", "{images}", "--name", "a/b"], 1, "name: String should match"),
        ([], 2, "Missing argument 'ENTRY'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_leaves_nothing(
    arguments: list[str],
    code: int,
    said: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [argument.format(images=images) for argument in arguments]
    assert said in refused(capsys, "finetune", *given, "--out", "run", code=code)
    assert list(tmp_path.iterdir()) == []


def test_out_must_be_given_and_free(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Missing option '--out'" in refused(capsys, "finetune", "digits_s", "--data", images, code=2)
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    before = files_below(tmp_path)
    assert "already holds 1 item" in refused(
        capsys, "finetune", "digits_s", "--data", images, "--out", tmp_path
    )
    assert files_below(tmp_path) == before
