"""docs/python.md is one program, and prints what stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import ROOT, scratch_checkout

GUIDE = ROOT / "docs" / "python.md"
CELL = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
# What differs between machines: ids, times and figures; everything else has to be as printed.
VARIES = re.compile(r"\b[0-9a-f]{12}\b|\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
# What is logged where nothing was for a while, as on a slow machine.
HOW_FAR = re.compile(r"^  [^\n:]+: [\d,]+ of [\d,]+ \(\d+%\)\n", re.MULTILINE)
PROGRAM = """
import io, json, sys
cells, printed, shown = json.load(sys.stdin), [], sys.stdout
sys.stdout = sys.stderr = page = io.StringIO()
scope = {"__name__": "__main__"}
for cell in cells:
    start = page.tell()
    exec(compile(cell, "docs/python.md", "exec"), scope)
    printed.append(page.getvalue()[start:])
json.dump(printed, shown)
"""


def cells() -> list[tuple[str, str]]:
    """The guide's blocks of Python, each with the output that is printed below it."""
    return CELL.findall(GUIDE.read_text(encoding="utf-8"))


def run_guide(folder: Path) -> list[str]:
    """What each block prints when all of them run one after the other in ``folder``."""
    command = [sys.executable, "-c", PROGRAM]
    code = json.dumps([code for code, _ in cells()])
    done = subprocess.run(command, input=code, cwd=folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


def test_the_guide_uses_every_public_name() -> None:
    code = "".join(code for code, _ in cells())
    import anas_zoo

    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in anas_zoo.__all__ if f"anas_zoo.{name}" not in text] == []
    assert code.count("\n") > 50


@pytest.mark.slow
def test_the_guide_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    for (code, said), printed in zip(
        cells(), run_guide(scratch_checkout(tmp_path / "checkout")), strict=True
    ):
        assert VARIES.sub("#", HOW_FAR.sub("", printed)) == VARIES.sub("#", said), code
