"""``anas search --latency``: the model is compared with this machine, and limits are judged by its bars."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from catalog_entries import FIRST_FORMAT
from latency_records import model_of
from searching_digits import make_run

from anas_zoo.cli import main
from anas_zoo.core.errors import SearchError
from anas_zoo.pipeline.search_latency import SearchLatency, latency_of_search
from anas_zoo.pipeline.search_stage import make_problem
from anas_zoo.profiling import sweep
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.profiling.latency_trust import Bars, Here
from anas_zoo.searching import SearchRecipe
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")
SMALL = ("--evaluations", "12", "--device", "cpu")
FILES = ("search.json", "evaluations.jsonl", "front.json")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "AGAIN_SECONDS", 0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("search") / "run")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model whose made-up milliseconds are ten times what the digits' networks take anywhere."""
    path = tmp_path / "latency.json"
    record = model_of(SPACE, times=(9.0, 10.0, 11.0)).record
    measured = [one.model_copy(update={"predicted_ms": 10 * one.predicted_ms}) for one in record.measured]
    slow = {name: 10 * value for name, value in record.coefficients.items()}
    changed = record.model_copy(update={"coefficients": slow, "measured": tuple(measured)})
    LatencyModel(changed).save(path)
    return path


def test_the_model_of_another_device_is_taken_as_it_is(
    run: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = LatencyModel.load(file).record
    there = record.fingerprint.model_copy(update={"cpu": "Abacus 2000"})
    LatencyModel(record.model_copy(update={"kit": "0" * 16, "fingerprint": there})).save(file)
    command = ["search", str(run), "--latency", str(file), *SMALL, "--objective", "latency_ms"]
    assert main([*command, "--out", str(run.parent / "elsewhere")]) == 0
    assert "latency: as measured on the device itself, with bars of " in capsys.readouterr().err
    here = json.loads((run.parent / "elsewhere" / "search.json").read_text())["latency_here"]
    assert (here["factor"], here["yardsticks"]) == (1, [])


def ran(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """What a command printed that succeeds, on a machine that may be anything."""
    assert main([str(arg) for arg in args]) == 0
    return capsys.readouterr().out


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def test_a_recipe_of_latency_takes_the_runs_model_or_weighs_multiply_adds(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run")
    marker = json.loads((run / "run.json").read_text())
    marker["recipe"]["search"]["objectives"] = ["top1_pct", "latency_ms"]
    (run / "run.json").write_text(json.dumps(marker))
    assert main(["search", str(run), "--out", str(tmp_path / "without"), *SMALL]) == 0
    assert "no latency model of this machine, so multiply-adds are weighed" in capsys.readouterr().err
    assert "latency_here" not in json.loads((tmp_path / "without" / "search.json").read_text())
    assert main(["search", str(run), "--objective", "latency_ms", "--out", str(tmp_path / "asked")]) == 1
    assert "latency needs a model of this machine: give --latency FILE" in capsys.readouterr().err
    (run / "latency.json").write_bytes(file.read_bytes())
    assert main(["search", str(run), "--out", str(tmp_path / "within"), *SMALL]) == 0
    assert "latency_here" in json.loads((tmp_path / "within" / "search.json").read_text())


@pytest.mark.slow
def test_a_machine_of_another_speed_is_noticed_scaled_and_resumed_the_same(
    run: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    words = ["search", str(run), "--out", str(out), "--device", "cpu"]
    options = ["--evaluations", "12", "--latency", str(file), "--objective", "latency_ms"]
    assert main([*words, *options, "--max-latency-ms", "10"]) == 0
    told = capsys.readouterr()
    assert "what they took at the fit" in told.err
    assert "what they took at the fit" in told.out
    here = json.loads((out / "search.json").read_text())["latency_here"]
    assert len(here["yardsticks"]) == 2
    assert here["factor"] < 0.5
    lines = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    model = LatencyModel.load(file)
    low, high = Bars(**here["bars"]).factors
    for line in lines:
        arch = SPACE.decode(SPACE.encode([type(SPACE.smallest).from_dict(line["arch"])]))[0]
        assert line["latency_ms"] == pytest.approx(float(model([arch])[0]) * here["factor"])
        assert line["latency_bar_ms"] == pytest.approx([line["latency_ms"] * low, line["latency_ms"] * high])
    front = json.loads((out / "front.json").read_text())
    assert all("latency_bar_ms" in item for item in front["front"])
    assert front["answers"][0]["best"]["latency_bar_ms"]
    assert re.search(r"latency \(ms\): [\d.]+ \([\d.]+ to [\d.]+\)", (out / "front.html").read_text())

    # As if it had been killed: it ends the same, by the factor of its beginning, whatever is measured now.
    whole = contents(out)
    (out / "front.json").unlink()
    (out / "evaluations.jsonl").write_bytes(b"".join(whole["evaluations.jsonl"].splitlines(True)[:7]))
    assert main([*words, "--resume"]) == 0
    told = capsys.readouterr()
    assert "when the search began; that stays" in told.err
    assert contents(out) == whole


def test_a_model_of_a_busy_and_of_another_machine_says_both(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(file.read_text())
    data["fingerprint"]["cpu"] = "Abacus 2000"
    data["level_pct"] = 57.8
    file.write_text(json.dumps(data))
    latency = latency_of_search(file, SPACE, 47, None)
    assert latency.here.factor < 1
    err = capsys.readouterr().err
    assert "fitted on classifiers of 10 classes" in err
    assert "is of another machine or runtime (cpu: 'Abacus 2000' there" in err
    assert "was fitted on a busy machine (the same files took up to 58 %" in err
    resumed = latency_of_search(file, SPACE, 47, {"latency_here": latency.to_dict()})
    assert resumed.here == latency.here
    with pytest.raises(SearchError, match="latency_here"):
        latency_of_search(file, SPACE, 47, {"latency_here": {}})
    assert main(["latency", "predict", str(file), str(FIRST_FORMAT)]) == 0
    assert "the machine was busy while the latency model was fitted" in capsys.readouterr().err


def problem(limits: dict[str, Any], here: Here, budgets: list[tuple[str, float]] | None = None) -> Any:
    model = model_of(SPACE)
    recipe = SearchRecipe.model_validate({"limits": limits})
    return make_problem(SPACE, 10, recipe, budgets or (), SearchLatency(model, here))


def test_a_limit_that_a_subnet_may_keep_is_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    least = float(model_of(SPACE)([SPACE.smallest])[0])
    here = Here(verdict="scaled", factor=2.0, bars=Bars(low_pct=-20, high_pct=25))
    # What the model alone says would be refused by its own unscaled milliseconds, and is not here.
    assert not problem({"latency_ms": {"max": 2.1 * least}}, here).by_bars
    capsys.readouterr()
    assert problem({"latency_ms": {"max": 1.7 * least}}, here).by_bars
    assert "nothing is predicted to have latency (ms) at most" in capsys.readouterr().err
    with pytest.raises(SearchError, match=r"is too little: .* by the bars of the latency model"):
        problem({"latency_ms": {"max": 1.5 * least}}, here)


def test_a_budget_within_the_bars_is_answered_and_said_to_be(
    run: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    options = ("--latency", file, "--algorithm", "random", "--json")
    words = ("search", run, "--device", "cpu", "--out", out)
    first = json.loads(ran(capsys, *words, "--evaluations", "12", *options))
    lines = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    fastest = min(lines, key=lambda line: line["latency_ms"])
    best = max(lines, key=lambda line: line["top1_pct"])
    for line, limit in ((best, best["latency_ms"] * 1.0001), (fastest, fastest["latency_ms"] * 0.999)):
        text = ran(capsys, *words, "--resume", "--max-latency-ms", f"{limit:.12f}")
        assert "the limit is within its bars" in text
        assert "measure it with anas bench" in text
        assert "would be kept by all of the bars" in text
        assert ("it is predicted to miss this" in text) == (line is fastest)
        assert "which is within its bars: measure it" in (out / "front.html").read_text()
    assert (
        first["latency"]["factor"] == json.loads((out / "front.json").read_text())["latency_here"]["factor"]
    )


@pytest.mark.slow
def test_all_processes_search_with_what_the_first_one_measured(run: Path, file: Path, tmp_path: Path) -> None:
    least = float(LatencyModel.load(file)([SPACE.smallest])[0])
    # Within reach only once the predictions were scaled: none of the processes may refuse it.
    options = ("--latency", str(file), "--max-latency-ms", str(0.6 * least), "--out", str(tmp_path / "two"))
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    words += ["-m", "anas_zoo.cli", "search", str(run), *SMALL, *options]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.count("look at it") == 1
    assert json.loads((tmp_path / "two" / "search.json").read_text())["latency_here"]["factor"] < 0.5
