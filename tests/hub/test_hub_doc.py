"""What docs/hub.md and the guides say to the Hub runs as it is printed, on a loopback one."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub_program import ROOT, SHELF, Program, content_of, environment
from hub_server import Hub
from supernet_folders import write_supernet

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
    write_supernet(tmp_path / "runs" / "demo" / "supernet", licence=None, lineage=[])
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


def lines_with(document: str, part: str) -> list[str]:
    """The lines of the block of ``document`` that has ``part``, without comments."""
    text = (ROOT / document).read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if part in block]
    return [line.partition("#")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.mark.slow
def test_what_the_guides_print_works(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for draft in ("runs/mine/subnets/mine_0", "runs/letters/subnets/digits_l_finetuned"):
        shutil.copytree(SHELF, tmp_path / draft)
        for published in ("manifest.json", "README.md"):
            (tmp_path / draft / published).unlink()
    printed = [
        *lines_with("docs/guide_checkpoint.md", "--to hf://org/mine_0"),
        *lines_with("docs/guide_data.md", "--to hf://org/letters"),
        f"anas publish {shlex.quote(str(ROOT / 'models' / 'digits_m'))} --to hf://org/digits_m",
        *lines_with("docs/guide_models.md", "anas pull hf://org/digits_m"),
        *lines_with("docs/guide_models.md", "anas index hf://org"),
    ]
    with Hub() as hub, Program(environment(hub, home), home, tmp_path) as program:
        for line in printed:
            anas, *arguments = shlex.split(line)
            assert anas == "anas"
            done = program.run(*arguments)
            assert done.code == 0, (line, done.err)
    assert content_of(tmp_path / "digits_m") == content_of(ROOT / "models" / "digits_m")
    index = json.loads((tmp_path / "hub-gallery" / "index.json").read_text())
    found = {entry["name"] for entry in index["models"]}
    assert found == {"digits_s", "digits_m"}
