"""The whole way on the real digits with a recipe of seconds, through the real program."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny_recipe import tiny_recipe, write_recipe

from anas_zoo import create_model
from anas_zoo.core.errors import EntryError
from anas_zoo.core.hints import as_command_line
from anas_zoo.core.schema import read_json
from anas_zoo.data import DigitsSource, eval_transform
from anas_zoo.entry import Entry
from anas_zoo.pipeline import RunResult, run_stages
from anas_zoo.searching.archive import read_evaluations
from anas_zoo.zoo import verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """A whole run; a licence was chosen when everything but publishing was done."""
    folder = tmp_path_factory.mktemp("demo") / "a run"
    with pytest.raises(
        EntryError, match=r"models are ready in .*, but their weights have no licence"
    ) as caught:
        run_stages(folder, tiny_recipe(licence=None))
    assert as_command_line(caught.value.parts).endswith(f"anas demo --out '{folder}' --licence SPDX")
    assert not (folder / "zoo").exists()
    reports = {path: path.read_bytes() for path in folder.glob("subnets/*/report.json")}
    result = run_stages(folder, tiny_recipe(licence=None), licence="CC0-1.0")
    assert len(reports) == len(result.entries)
    assert {path: path.read_bytes() for path in reports} == reports, "nothing was done twice"
    return folder, result


def hashes(run: Path) -> dict[str, str]:
    """Hashes of everything that must be the same for the same seed (reports hold timings)."""
    files = [run / "split.json", run / "search" / "evaluations.jsonl"]
    files += [run / "supernet" / "supernet.safetensors"]
    files += sorted(run.glob("zoo/*/model.*")) + sorted(run.glob("zoo/*/golden.safetensors"))
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_entries_are_complete_and_verified(finished: tuple[Path, RunResult]) -> None:
    folder, result = finished
    assert [entry.name for entry in result.entries] == ["digits_s", "digits_m", "digits_l"]
    macs = [row["macs"] for row in result.rows]
    assert macs == sorted(macs)
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
    model = create_model(str(result.entries[2]), pretrained=True).eval()
    source = DigitsSource()
    test = read_json(folder / "split.json")["test"]
    transform = eval_transform(source.preprocessing, Entry.read(result.entries[2]).config.arch.resolution)
    images = torch.stack([transform(source.image(index)) for index in test])
    with torch.no_grad():
        right = int((model(images).argmax(1) == torch.from_numpy(source.labels[test])).sum())
    assert result.rows[2]["top1_pct"] == pytest.approx(100.0 * right / len(test))


def start(recipe: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "anas_zoo.cli", "demo", "--recipe", str(recipe), "--out", str(out)]
    command += ["--licence", "CC0-1.0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_leaves_whole_stages_and_the_run_resumes(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """Interrupted in the training and in the extraction, the run ends with what an uninterrupted one has."""
    recipe, out = write_recipe(tmp_path / "tiny.yaml", licence=None), tmp_path / "run"
    for number in (1, 3):
        process = start(recipe, out)
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith(f"==> {number}/6") and "already there" not in line:
                timer = threading.Timer(0.3, process.send_signal, [signal.SIGINT])
                timer.start()
                break
        rest, error = process.communicate(timeout=120)
        assert process.returncode == 130, said + error
        assert "anas: interrupted; nothing half-written was left" in error
        assert "Traceback" not in error
        assert rest == ""
        made = {path.name for path in out.iterdir()} - {"training"}  # that one grows while training
        stages = ["supernet", "search"]
        assert made == {"run.json", "split.json", "images.json", *stages[: number - 1]}
    process = start(recipe, out)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    assert "digits_l" in output
    assert hashes(out) == hashes(finished[0])


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
    assert {path.name for path in out.iterdir()} - {"training"} == {"run.json", "split.json", "images.json"}
    assert not list(out.rglob(".*")), "nothing half-written"
