from __future__ import annotations

import json

import pytest
from command_line import refused, succeeded


def test_both_modes_in_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    args = ("evaluate", "digits_s", "--data", "digits", "--preprocessing", "both", "--limit", "300")
    data = json.loads(succeeded(capsys, *args, "--json"))
    assert (data["entry"], data["runtime"]) == ("digits_s", "torch")
    assert data["recorded_preprocessing"]["mode"] == "native"
    head, _, *rows = succeeded(capsys, *args).splitlines()
    told, warning = rows[-2:]
    assert head.split() == [
        "preprocessing",
        "top-1",
        "top-5",
        "calibration",
        "error",
        "images",
        "split",
        "data",
    ]
    for row, accuracy in zip(rows[:2], data["accuracies"], strict=True):
        low, high = accuracy["top1_interval_pct"]
        assert row.split()[:4] == [
            accuracy["preprocessing"], f"{accuracy['top1_pct']:.2f}", "%", f"({low:.1f}–{high:.1f})"
        ]  # fmt: skip
        assert row.split()[4:10] == [
            f"{accuracy['top5_pct']:.2f}", "%", f"{accuracy['ece_pct']:.2f}", "%", "300", "all"
        ]  # fmt: skip
    assert "by class, the least accurate first" in rows
    assert "what images are (rows) and were taken for (columns)" in rows
    assert "the surest mistakes" in rows
    first = data["accuracies"][0]
    assert sum(one["images"] for one in first["classes"]) == 300
    assert {one["label_name"] for one in first["mistakes"]} <= set("0123456789")
    assert first["mistakes"][0]["file"] == f"image {first['mistakes'][0]['image']}"
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
