"""How the tests call the command line: in this process, or as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from anas_zoo.cli import main

# A training of the digits that takes a second.
QUICK = [
    word
    for setting in (
        *("train.epochs=1", "train.warmup_epochs=0.5", "train.sampling.prior_draws=2000"),
        *("train.subnets_per_step=2", "train.batch_size=256", "train.evaluation.images=32"),
        *("train.evaluation.sampled=1", "train.evaluation.calibration_images=32"),
    )
    for word in ("--set", setting)
]

# The real program with commands that no user needs: slow ones, to be interrupted.
DRIVER = """
import sys, time
from pathlib import Path
from anas_zoo.cli import app, main
from anas_zoo.core.files import output_folder

def slow(out: Path) -> None:
    "Write a folder that is never complete."
    with output_folder(out) as staging:
        (staging / "half").write_text("of it")
        print("begun", flush=True)
        time.sleep(60)

def careful(out: Path) -> None:
    "Clean up slowly."
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(1)
        out.write_text("clean")

for command in (slow, careful):
    app.COMMANDS[command.__name__] = command
sys.exit(main())
"""


def start_driver(*args: str | Path) -> subprocess.Popen[str]:
    """A process that runs the driver's commands beside the real ones."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def succeeded(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """What the command printed to stdout; it must succeed and say nothing else but notes of its progress."""
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    assert (code, [line for line in captured.err.splitlines() if line.startswith("anas: ")]) == (0, [])
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 1) -> str:
    """The one line of error, the last of all; the command must fail with ``code`` and print no result."""
    got = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    assert (got, captured.out) == (code, "")
    *notes, last = captured.err.splitlines()
    assert last.startswith("anas: error: ")
    assert [line for line in notes if line.startswith("anas: ")] == []
    return last.removeprefix("anas: error: ")


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of every file in ``folder``, hidden ones included."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
