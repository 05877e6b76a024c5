"""Ctrl-C and SIGTERM in long work: one line that says how it resumes, and from where."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from anas_zoo.cli.output import as_started
from anas_zoo.core.hints import Call, Part
from anas_zoo.core.stopping import how_to_resume, resumable
from anas_zoo.training.checkpoint import latest_step

LONG = ["--set", "train.epochs=10000", "--set", "train.checkpoints.every_steps=2", "--set"]
LONG += ["train.checkpoints.keep=1", "--set", "train.evaluation.every_epochs=10000", "--device", "cpu"]
QUICK = [*LONG, "--set", "train.sampling.prior_draws=5000", "--set", "train.subnets_per_step=2"]
FINETUNE = ["finetune", "digits_s", "--data", "digits"]


def test_the_outermost_block_is_heard() -> None:
    outer: list[Part] = ["resume with: ", Call("train", out="run", resume=True)]
    with pytest.raises(KeyboardInterrupt) as caught, resumable(lambda: outer), resumable(lambda: ["inner"]):
        raise KeyboardInterrupt
    assert how_to_resume(caught.value) == tuple(outer)
    # In a traceback it reads as Python.
    assert caught.value.__notes__ == ["resume with: anas_zoo.train(out='run', resume=True)"]
    with pytest.raises(KeyboardInterrupt) as caught, resumable(list):
        raise KeyboardInterrupt
    assert how_to_resume(caught.value) == ()


def test_a_command_is_printed_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Part] = ["resume with: ", Call("train", "x")]
    assert as_started(parts) == "resume with: anas train x"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert as_started(parts) == "resume with: torchrun --nproc-per-node 4 -m anas_zoo.cli train x"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert as_started(parts) == "resume with: torchrun ... -m anas_zoo.cli train x"


def interrupted(command: list[str], when: Callable[[], bool], number: int) -> str:
    """What the program says on stderr when it gets the signal as soon as ``when`` is true."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while process.poll() is None and not when() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert out == ""
    return error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "resume", "number"),
    [
        (["train", "--recipe", "digits", *QUICK], "anas train --out {out} --resume", signal.SIGINT),
        (["train", "--recipe", "digits", *QUICK], "anas train --out {out} --resume", signal.SIGTERM),
        (["demo", *QUICK], "anas run --out {out}", signal.SIGINT),
        ([*FINETUNE, *LONG], "anas finetune digits_s --out {out} --resume", signal.SIGTERM),
    ],
    ids=["train, Ctrl-C", "train, SIGTERM", "demo", "finetune"],
)
def test_a_training_says_how_it_resumes_and_from_which_step(
    words: list[str], resume: str, number: int, tmp_path: Path
) -> None:
    run = tmp_path / "a run"
    program = [sys.executable, "-m", "anas_zoo.cli"]
    error = interrupted(
        [*program, *words, "--out", str(run)], lambda: latest_step(run / "training") > 0, number
    )
    step = latest_step(run / "training")
    assert step > 0
    command = resume.format(out=shlex.quote(str(run)))
    last = error.splitlines()[-1]
    assert last == (
        f"anas: interrupted; nothing half-written was left; resume from step {step} with: {command}"
    )


@pytest.mark.slow
def test_of_many_processes_one_says_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "--recipe", "digits", *QUICK, "--out", str(run)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "anas_zoo.cli", *words]
    error = interrupted(command, lambda: latest_step(run / "training") > 0, signal.SIGINT)
    said = re.findall(r"^anas: .*$", error, re.MULTILINE)
    again = f"torchrun --nproc-per-node 2 -m anas_zoo.cli train --out {run} --resume"
    assert said == [
        "anas: interrupted; nothing half-written was left; resume from step "
        f"{latest_step(run / 'training')} with: {again}"
    ]


@pytest.mark.slow
def test_a_search_says_after_how_many_evaluations(tmp_path: Path) -> None:
    from searching_digits import write_predictor

    write_predictor(tmp_path / "p.onnx", "digits")
    found = tmp_path / "found"
    words = ["search", "--space", "digits", "--predictor", str(tmp_path / "p.onnx"), "--out", str(found)]
    words += ["--algorithm", "surrogate", "--evaluations", "5000"]
    record = found / "evaluations.jsonl"
    error = interrupted(
        [sys.executable, "-m", "anas_zoo.cli", *words],
        lambda: record.exists() and record.read_bytes().count(b"\n") > 2,
        signal.SIGINT,
    )
    kept = record.read_bytes().count(b"\n")
    assert f"resume after {kept} evaluations with: anas search --space digits --predictor" in error
    assert error.rstrip().endswith(f"--out {found} --resume")
    assert error.count("anas search") == 1
