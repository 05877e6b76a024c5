from __future__ import annotations

import json

import pytest
from command_line import refused, succeeded


def test_both_modes_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    args = ("evaluate", "digits_s", "--data", "digits", "--preprocessing", "both", "--limit", "50")
    data = json.loads(succeeded(capsys, *args, "--json"))
    assert (data["entry"], data["runtime"]) == ("digits_s", "torch")
    assert data["recorded_preprocessing"]["mode"] == "native"
    head, _, *rows, told, warning = succeeded(capsys, *args).splitlines()
    assert head.split() == ["preprocessing", "top-1", "%", "top-5", "%", "images", "split", "data"]
    for row, accuracy in zip(rows, data["accuracies"], strict=True):
        figures = [f"{accuracy['top1_pct']:.2f}", f"{accuracy['top5_pct']:.2f}", "50", "all"]
        assert row.split()[:5] == [accuracy["preprocessing"], *figures]
    assert [a["preprocessing"] for a in data["accuracies"]] == ["native", "reference"]
    assert told == "digits_s, torch; its own preprocessing is native; native is with bilinear, crop 1"
    assert "trained on" in warning


def test_few_classes_have_no_top5(entry: object, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "evaluate", str(entry), "--data", "digits")
    assert "digits has classes that tiny does not know: '0'" in line


def test_wrong_options_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'both'" in refused(capsys, "evaluate", "digits_s", "--preprocessing", "x", code=2)
    assert "give --data" in refused(capsys, "evaluate", "digits_s")
    assert "no part 'test'" in refused(capsys, "evaluate", "digits_s", "--data", "digits", "--split", "test")
    assert "--keep" in refused(capsys, "evaluate", "digits_s", "--data", "digits", "--keep")
