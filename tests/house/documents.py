"""The fenced blocks of the documents, and how a printed block is run: its commands, in a scratch checkout."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from anas_zoo.cli import main
from anas_zoo.zoo.serving import node_program

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)```(sh|python)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
LINKED = ("anas_zoo", "benchmarks", "docs", "export", "hubconf.py", "models")


@dataclass(frozen=True)
class Block:
    """One block: where it stands, its language, what is printed."""

    file: str
    language: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        """File and first command; what a reader would name it by."""
        return self.file, self.text.splitlines()[0].partition("  #")[0].strip()

    def __str__(self) -> str:
        return f"{self.file}: {self.key[1][:50]}"


@dataclass(frozen=True)
class Run:
    """How a block is run.

    Attributes:
        needs: parts of the scratch checkout that must be there before (see the tests' scenes).
        stand_ins: texts of the block and what stands for them here: a placeholder's file, a smaller size.
        leaves: files that the block has to leave behind.
        then: further blocks that continue where this one ends, as a reader would.
    """

    needs: tuple[str, ...] = ()
    stand_ins: tuple[tuple[str, str], ...] = ()
    leaves: tuple[str, ...] = ()
    then: tuple[tuple[tuple[str, str], Run], ...] = ()


def documents() -> list[str]:
    """The README and every guide."""
    return ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def blocks_of(file: str) -> list[Block]:
    """Every block of ``file`` that somebody could type."""
    found = FENCE.findall((ROOT / file).read_text(encoding="utf-8"))
    return [Block(file, language, text) for _, language, text in found]


def commands_of(block: Block) -> set[str]:
    """The commands of a shell block without comments; none of a Python one."""
    if block.language == "python":
        return set()
    return {shlex.join(shlex.split(line, comments=True)) for line in _commands(block.text)}


def scratch_checkout(folder: Path) -> Path:
    """``folder`` with what a checkout has, by links, and room for what commands write."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, real in {"python": sys.executable, "python3": sys.executable, "node": node_program()}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{real}" "$@"\n')
        (programs / name).chmod(0o755)
    return folder


def run_block(block: Block, run: Run, checkout: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the block in ``checkout`` and return what its commands printed; fails with what one of them said.

    Lines of the program ``anas`` run in this process, which has torch loaded already; all others in a shell.
    """
    text = block.text
    for printed, here in run.stand_ins:
        assert printed in text, f"{block.key}: {printed!r} is no longer printed there"
        text = text.replace(printed, here)
    if block.language == "python":
        return _shell([sys.executable, "-c", text], checkout)
    output = ""
    for line in _commands(text):
        words = shlex.split(line, comments=True)
        if words[0] == "anas":
            capsys.readouterr()
            code = main(words[1:])
            captured = capsys.readouterr()
            assert code == 0, f"{line}\n{captured.err}"
            output += captured.out
        else:
            output += _shell(["bash", "-euo", "pipefail", "-c", line], checkout)
    for name in run.leaves:
        assert (checkout / name).exists(), f"{block.key} left no {name}"
    return output


def _commands(text: str) -> Iterator[str]:
    """The commands of a block; a backslash joins lines, && separates commands."""
    for line in text.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s&&\s", line):
            if command.strip() and not command.lstrip().startswith("#"):
                yield command.strip()


def _shell(command: list[str], checkout: Path) -> str:
    programs = str(checkout / ".venv" / "bin")
    own = str(Path(sys.executable).parent)  # torchrun
    paths = os.pathsep.join([programs, own, os.environ["PATH"]])
    env = os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout
