"""docs/hub.md: its commands and its Python run as they are printed, against the loopback Hub."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub_program import ROOT, SHELF, Program, content_of, environment
from hub_server import Hub

pytest_plugins = ["hub_fixtures"]

TEXT = (ROOT / "docs" / "hub.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LOGIN, OFFLINE = "hf auth login", "HF_HUB_OFFLINE=1 "


@pytest.mark.slow
def test_everything_that_is_printed_works(hub: Hub, tmp_path: Path) -> None:
    assert len(COMMANDS) > 5
    assert COMMANDS[0] == LOGIN  # asks on the terminal; the token is in the environment here
    shutil.copytree(SHELF, tmp_path / "runs" / "demo" / "zoo" / "digits_s")
    home = tmp_path / "home"
    with (
        Program(environment(hub, home), home, tmp_path) as online,
        Program(environment(hub, home, HF_HUB_OFFLINE="1"), home, tmp_path) as offline,
    ):
        for line in COMMANDS[1:]:
            program = offline if line.startswith(OFFLINE) else online
            anas, *arguments = shlex.split(line.removeprefix(OFFLINE))
            assert anas == "anas"
            done = program.run(*arguments)
            assert done.code == 0, (line, done.err)
    assert content_of(tmp_path / "digits_s") == content_of(SHELF) == content_of(tmp_path / "digits_s_offline")
    for block in PYTHON:
        run = subprocess.run(
            [sys.executable, "-c", block], env=environment(hub, home), cwd=tmp_path, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
