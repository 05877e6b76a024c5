"""What docs/clients.md prints for Node.js works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from javascript import need_packages

from anas_zoo.zoo.serving import node_program

ROOT = Path(__file__).resolve().parents[2]
SECTION = (
    (ROOT / "docs" / "clients.md").read_text(encoding="utf-8").split("\n## Node.js\n")[1].split("\n## ")[0]
)
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", SECTION, re.DOTALL)


def run(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_and_the_program_run_and_see_a_three(tmp_path: Path) -> None:
    need_packages("node")
    image = str(tmp_path / "three.png")
    programs = {"node": str(node_program()), ".venv/bin/python": sys.executable}
    printed = []
    for line in "".join(text for language, text in BLOCKS if language == "sh").splitlines():
        program, *words = shlex.split(line.replace("/tmp/three.png", image))
        if program != "npm":  # which needs the registry; `make setup` has done it
            printed.append(run(programs[program], *words))
    check, _, classes = printed
    assert check.rstrip().endswith("OK")
    assert classes.splitlines()[1].endswith("%  3")

    (program,) = [text.replace("/tmp/three.png", image) for language, text in BLOCKS if language == "js"]
    assert "label: '3'" in run(programs["node"], "--input-type=module", "--eval", program)
