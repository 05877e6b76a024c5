"""The whole way on the real digits with a recipe of seconds, through the real program."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_recipe import tiny_recipe, write_recipe

from anas_zoo import create_model
from anas_zoo.core.errors import OutputError
from anas_zoo.core.hints import as_command_line
from anas_zoo.core.schema import read_json
from anas_zoo.data import DigitsSource, eval_transform
from anas_zoo.entry import Entry
from anas_zoo.pipeline import RunResult, run_stages
from anas_zoo.pipeline.whole_way import run
from anas_zoo.searching.archive import read_evaluations
from anas_zoo.zoo import verify

pytestmark = pytest.mark.slow

# All that a run does, in epochs and evaluations: what takes as long as there is time is not the same twice.
CHANGES: dict[str, Any] = {
    "licence": None,
    "winners": {"epochs": 2, "warmup_epochs": 0.5, "distillation": False},
    "yardstick": True,
    "try_flips": True,
    "targets": ("litert-int8",),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A whole run; a licence was chosen when everything but publishing was done."""
    folder = tmp_path_factory.mktemp("demo") / "a run"
    ready = run_stages(folder, tiny_recipe(**CHANGES))
    assert ready.publish is not None
    assert as_command_line([ready.publish]) == f"anas run --out '{folder}' --licence SPDX"
    assert [entry.parent for entry in ready.entries] == [folder / "subnets"] * 3
    assert not (folder / "zoo").exists()
    assert not (folder / "decoded").exists()
    reports = {path: path.read_bytes() for path in folder.glob("subnets/*/report.json")}
    result = run_stages(folder, tiny_recipe(**CHANGES), licence="CC0-1.0")
    assert result.publish is None
    assert result.seconds.keys() == {"publish"}
    assert result.rows == ready.rows
    assert len(reports) == 3
    assert {path: path.read_bytes() for path in reports} == reports, "nothing was done twice"
    return folder, result


def hashes(folder: Path) -> dict[str, str]:
    """Hashes of everything that must be the same for the same seed (reports hold timings)."""
    files = [folder / "split.json", folder / "flips.json", folder / "search" / "evaluations.jsonl"]
    files += [folder / "supernet" / "supernet.safetensors", folder / "winners" / "winners.json"]
    # Whether the plain network is on the front, and so published, depends on timings.
    files += [folder / "yardstick" / "digits_plain" / "model.safetensors"]
    for name in ("model.safetensors", "model.onnx", "golden.safetensors"):
        files += sorted(folder.glob(f"zoo/digits_[sml]/{name}"))
    assert len(files) == 15
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_entries_are_complete_and_verified(finished: tuple[Path, RunResult]) -> None:
    folder, result = finished
    assert {"digits_s", "digits_m", "digits_l"} <= {entry.name for entry in result.entries}
    rows = {row["name"]: row for row in result.rows}
    assert rows.keys() == {"digits_s", "digits_m", "digits_l", "digits_plain"}
    assert ("digits_plain" in {entry.name for entry in result.entries}) == rows["digits_plain"]["on_front"]
    macs = [rows[f"digits_{size}"]["macs"] for size in "sml"]
    assert macs == sorted(macs)
    latency = [row["latency_ms"] for row in result.rows]
    assert latency == sorted(latency)
    assert result.advice
    assert result.recommended in result.entries
    assert as_command_line(result.advice[0]).find(f"take {result.recommended.name}") >= 0
    test_labels = read_json(folder / "split.json")["test"]
    for path in result.entries:
        verify(path)
        report = Entry.read(path).report
        assert report.accuracy is not None
        assert report.accuracy.split == "test"
        assert report.accuracy.images == len(test_labels)
        parity = report.files["model.onnx"].parity
        assert parity is not None
        assert parity.images == len(test_labels)
        assert parity.batch_sizes == (1, 2, 3, 7, 32)
        assert parity.top1_pct == pytest.approx(report.accuracy.top1_pct)
        assert report.files["model.onnx"].latency[0].p50_ms > 0
        assert report.cost is not None
        assert report.cost.fvcore_total is not None
        assert report.cost.fvcore_total >= report.cost.macs
        exported = report.files.keys() | report.refused.keys()
        assert exported == {"model.onnx", "model.litert-int8.tflite"}
        weights = Entry.read(path).config.anas.weights
        assert weights is not None
        assert weights.licence == "CC0-1.0"
    assert result.picture.read_bytes().startswith(b"\x89PNG")
    assert not list(folder.rglob(".*"))  # no staging folder is left behind


def test_the_search_saw_the_search_split_only(finished: tuple[Path, RunResult]) -> None:
    folder, _ = finished
    searched = len(read_json(folder / "split.json")["search"])
    evaluations = read_evaluations(folder / "search" / "evaluations.jsonl")
    assert {item.images for item in evaluations} == {searched}
    front = json.loads((folder / "search" / "front.json").read_text(encoding="utf-8"))
    assert front["scored_by"]["split"] == "search"


def test_an_entry_loads_with_the_accuracy_it_states(finished: tuple[Path, RunResult]) -> None:
    folder, result = finished
    largest = folder / "zoo" / "digits_l"
    model = create_model(str(largest), pretrained=True).eval()
    source = DigitsSource()
    test = read_json(folder / "split.json")["test"]
    transform = eval_transform(source.preprocessing, Entry.read(largest).config.arch.resolution)
    images = torch.stack([transform(source.image(index)) for index in test])
    with torch.no_grad():
        right = int((model(images).argmax(1) == torch.from_numpy(source.labels[test])).sum())
    accuracy = Entry.read(largest).report.accuracy
    assert accuracy is not None
    assert accuracy.top1_pct == pytest.approx(100.0 * right / len(test))
    (row,) = [row for row in result.rows if row["name"] == "digits_l"]
    assert row["top1_pct"] == pytest.approx(accuracy.top1_pct, abs=2), "that of its int8 file"


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "anas_zoo.cli", "run", "--recipe", str(recipe), "--out", str(out)]
    command += ["--licence", "CC0-1.0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_leaves_whole_stages_and_the_run_resumes(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """Interrupted in each stage, the run ends with what an uninterrupted one has."""
    recipe, out = write_recipe(tmp_path / "tiny.yaml", **CHANGES), tmp_path / "run"
    makes = ["flips.json", "supernet", "search", "winners", "subnets"]
    growing = {"decoded", "training", "yardstick", "search", "winners"}
    for number in range(1, 6):
        process = start(recipe, out)
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith(f"==> {number}/8") and "already there" not in line:
                timer = threading.Timer(0.3, process.send_signal, [signal.SIGINT])
                timer.start()
                break
        rest, error = process.communicate(timeout=120)
        assert process.returncode == 130, said + error
        assert "anas: interrupted; nothing half-written was left" in error
        assert "Traceback" not in error
        assert rest == ""
        made = {path.name for path in out.iterdir()}
        begun = {"run.json", "split.json", "images.json"}
        # A stage may have ended before it heard; what it has not ended is not there.
        assert begun | {*makes[: number - 1]} <= made | growing
        assert made <= begun | growing | {*makes[: number + 1]}, (number, made)
        assert not list(out.rglob(".subnets.*")), "nothing half-written"
    process = start(recipe, out)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "digits_l" in output
    assert hashes(out) == hashes(finished[0])


def test_a_run_of_a_third_of_a_minute_divides_it_and_ends(tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path / "run", data="digits", minutes=0.3, licence="Apache-2.0", device="cpu")
    took = time.monotonic() - began
    record = read_json(tmp_path / "run" / "minutes.json")
    assert record["minutes"] == 0.3
    assert record["spent_s"].keys() == {"images", "flips", "supernet", "search", "winners", "models"}
    assert sum(record["spent_s"].values()) <= took
    rows = {row["name"]: row for row in result.rows}
    assert "digits_plain" in rows
    assert len(rows) >= 3
    assert result.advice
    assert result.recommended in result.entries
    assert as_command_line(result.advice[0]).find(f"take {result.recommended.name}") >= 0
    assert result.publish is None
    for entry in result.entries:
        verify(entry)
        assert rows[entry.name]["top1_pct"] > 20
    with pytest.raises(OutputError, match="already holds this run, finished; see"):
        run(tmp_path / "run", device="cpu")


def test_a_full_disk_stops_with_one_line(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "tiny.yaml")
    out = tmp_path / "small"
    program = (
        "import resource, sys; from anas_zoo.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        f"sys.exit(main(['demo', '--recipe', {str(recipe)!r}, '--out', {str(out)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert "no space left" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    begun = {"run.json", "split.json", "images.json", "decoded"}
    assert {path.name for path in out.iterdir()} - {"training"} == begun
    assert not list(out.rglob(".*")), "nothing half-written"
