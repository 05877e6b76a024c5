from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from catalog_entries import FIRST_FORMAT
from command_line import files_below, refused
from latency_files import CLASSES, Stored

from anas_zoo.cli import main
from anas_zoo.space import SearchSpace


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return Stored(tmp_path_factory.mktemp("latency"))


@pytest.fixture(scope="module")
def model(stored: Stored) -> Path:
    """A model fitted through the command line."""
    out = stored.work.parent / "latency.json"
    assert main(["latency", "fit", *numbers(stored), "--out", str(out), "--json"]) == 0
    return out


def ran(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """What a command printed that succeeds, on a machine that may be so busy that it is warned of."""
    assert main([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def numbers(stored: Stored) -> list[str]:
    return [
        *("--space", str(stored.space_file), "--num-classes", str(CLASSES), "--work", str(stored.work)),
        *("--subnets", "20", "--held-out", "4", "--repeats", "8"),
    ]


def test_fit(stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "latency.json"
    text = ran(capsys, "latency", "fit", *numbers(stored), "--out", out)
    assert "error on 4 subnets that the fit has not seen" in text
    assert "median |error|" in text
    assert "true milliseconds are within " in text
    assert f"anas latency check {out}" in text
    assert list(tmp_path.iterdir()) == [out]
    assert "exists already" in refused(capsys, "latency", "fit", *numbers(stored), "--out", out)


def test_check(stored: Stored, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = ("--work", stored.work, "--repeats", "8", "--subnets", "3")
    assert "error on 3 subnets" in ran(capsys, "latency", "check", model, *work)
    data = json.loads(ran(capsys, "latency", "check", model, *work, "--json"))
    assert len(data["measured"]) == 3
    assert data["error"]["subnets"] == 3


def test_predict(stored: Stored, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arch = tmp_path / "arch.json"
    arch.write_text(json.dumps(stored.space.smallest.to_dict()))
    data = json.loads(ran(capsys, "latency", "predict", model, arch, "--json"))
    assert data["latency_ms"].keys() == {str(arch)}
    assert data["latency_ms"][str(arch)] >= 0
    assert str(arch) in ran(capsys, "latency", "predict", model, arch)


def test_another_machine_is_warned_of(
    model: Path, stored: Stored, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(model.read_text())
    data["fingerprint"]["cpu"] = "Abacus 2000"
    (tmp_path / "there.json").write_text(json.dumps(data))
    (tmp_path / "arch.json").write_text(json.dumps(stored.space.smallest.to_dict()))
    assert main(["latency", "predict", str(tmp_path / "there.json"), str(tmp_path / "arch.json")]) == 0
    err = capsys.readouterr().err
    assert err.startswith("warning: the latency model is of another machine")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "--out", "x.json", "--threads", "0"], "threads must be at least 1, got 0"),
        (["fit", "--out", "x.json", "--held-out", "1"], "at least 2 held-out subnets, got 1"),
        (["fit", "--out", "."], "exists already"),
        (["check", "absent.json"], "no latency model at absent.json; make one on this machine: anas latency"),
        (["check", "arch.json"], "arch.json is not a latency model"),
        (["predict", "{model}", "attentive_nas_a0"], "outside the space 'tiny'"),
        (["predict", "{model}", "absent.json"], "absent.json: no such file"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(
    arguments: list[str],
    said: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()  # what the model's fit printed
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arch.json").write_text(json.dumps(SearchSpace.load("digits").smallest.to_dict()))
    before = files_below(tmp_path)
    assert said in refused(capsys, "latency", *(a.format(model=model) for a in arguments))
    assert files_below(tmp_path) == before


def test_a_kit_and_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, numbers = tmp_path / "kit", ("--space", "digits", "--subnets", "16", "--held-out", "2")
    text = ran(capsys, "latency", "kit", "--num-classes", "10", *numbers, "--out", out)
    assert text.startswith(f"{out}: 18 subnets of digits; copy it to the device, and there\n")
    assert "already holds" in refused(capsys, "latency", "kit", *numbers, "--out", out)
    results = tmp_path / "results.json"
    command = [sys.executable, str(out / "measure.py"), "--repeats", "8", "--out", str(results)]
    subprocess.run(command, check=True, capture_output=True)
    model = tmp_path / "device.json"
    text = ran(capsys, "latency", "fit", "--measured", results, "--out", model)
    assert "error on 2 subnets that the fit has not seen" in text
    assert f"latency model: {model}" in text
    assert "check it later" not in text
    data = json.loads(ran(capsys, "latency", "predict", model, FIRST_FORMAT, "--json"))
    assert data["warning"] is None or "another machine" not in data["warning"]
    fit = ("latency", "fit", "--out", tmp_path / "other.json", "--measured")
    assert "of a kit of the space 'digits'" in refused(capsys, *fit, results, "--space", "tiny")
    assert "has no results of a latency kit" in refused(capsys, *fit, model)
    said = refused(capsys, *fit, results, "--threads", "1", "--held-out", "4", code=2)
    assert "--threads, --held-out: measured results have their own" in said
    assert "no such file" in refused(capsys, *fit, tmp_path / "none.json").lower()
    assert "of another device" in refused(capsys, "latency", "check", model)
