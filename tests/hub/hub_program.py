"""The program in a process that knows no other Hub than the loopback one, and what that Hub then holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hub_api import WRITE_TOKEN
from hub_server import Hub
from hub_store import Repository

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("hub_driver.py")
SHELF = ROOT / "models" / "digits_s"  # a trained entry with weights


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """What a process needs in order to use ``hub`` alone, with large files over plain HTTP (LFS)."""
    kept = {
        k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "SYSTEMROOT", "OMP_NUM_THREADS")
    }
    own = {
        "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url + "/", "HF_HOME": str(home / "hf"),
        "HF_TOKEN": WRITE_TOKEN,
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
        "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TORCH_HOME": str(home / "torch"),
    }  # fmt: skip
    return {name: value for name, value in {**kept, **own, **more}.items() if value}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def refusal(self) -> str:
        """The line of error of a command that failed as it should: without a result, without a traceback."""
        *notes, last = self.err.splitlines()
        assert (self.code, self.out) == (1, ""), (self.code, self.out, self.err)
        assert not [note for note in notes if "Traceback" in note or "Error" in note], notes
        assert last.startswith("anas: error: "), self.err
        return last.removeprefix("anas: error: ")


class Program:
    """``anas`` in a process that is kept; its token must not be in anything that it says or writes."""

    def __init__(self, env: dict[str, str], home: Path, cwd: Path = ROOT) -> None:
        self.home = home
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], env=env, text=True, cwd=cwd,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with self._process:  # which closes its pipes and waits
            self._process.stdin.close()

    def run(self, *args: str | Path) -> Done:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(arg) for arg in args]), file=self._process.stdin, flush=True)
        done = Done(**json.loads(self._process.stdout.readline()))
        assert WRITE_TOKEN not in done.out + done.err
        return done

    def push(self, entry: Path, address: str) -> Done:
        """Send an entry without the gates of ``anas publish``, which take a second."""
        return self.run("push", entry, address)

    def ok(self, *args: str | Path) -> Any:
        """The JSON that a successful command prints."""
        done = self.run(*args, "--json")
        assert done.code == 0, done.err
        return done.json


def files_with(text: str, folder: Path) -> list[Path]:
    """Files below ``folder`` that hold ``text``."""
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def repository(hub: Hub, address: str) -> Repository:
    return hub.store.get(address.removeprefix("hf://"))


def visible(hub: Hub, address: str, branch: str = "main") -> dict[str, bytes]:
    """Files of a branch with their content, without the Hub's own."""
    files = repository(hub, address).at(branch).files
    return {name: file.content for name, file in files.items() if not name.startswith(".")}


def cached(program: Program, address: str, commit: str, name: str) -> Path:
    """Where the program's cache has a file of that commit."""
    folder = "models--" + address.removeprefix("hf://").replace("/", "--")
    return program.home / "hf" / "hub" / folder / "snapshots" / commit / name


def content_of(folder: Path) -> dict[str, bytes]:
    """Files of an entry with their content, without hidden ones."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}
