"""The Python client as tests call it: imported by its path, or as a process that has nothing but it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anas_zoo.core.resources import resource_folder

SHELF = resource_folder("models")
CLIENT = resource_folder("export") / "clients" / "python" / "classify.py"

# What the client must do without, though this environment has it.
ABSENT = ("anas_zoo", "onnx", "pydantic", "safetensors", "scipy", "sklearn", "timm", "torch", "torchvision")
PROGRAM = """
import runpy, sys
for name in {absent!r}:
    sys.modules[name] = None  # an import of it fails
sys.argv[0] = {client!r}
runpy.run_path({client!r}, run_name="__main__")
"""


def _load() -> Any:
    """The module, from its file; no bytecode is left beside it."""
    module = types.ModuleType("classify")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(CLIENT.read_text(encoding="utf-8"), CLIENT, "exec"), module.__dict__)
    return module


client = _load()


def run_client(*args: str | Path, absent: tuple[str, ...] = ABSENT) -> subprocess.CompletedProcess[str]:
    """A process of the client alone: isolated from this checkout, and without the packages ``absent``."""
    code = PROGRAM.format(absent=absent, client=str(CLIENT))
    command = [sys.executable, "-I", "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def copied_entry(folder: Path) -> Path:
    """A copy of digits_s to damage, without the manifest that would say so first."""
    copy = Path(shutil.copytree(SHELF / "digits_s", folder / "entry"))
    (copy / "manifest.json").unlink()
    return copy


def edit(path: Path, change: Callable[[Any], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def refusal(capsys: pytest.CaptureFixture[str], *args: str | Path) -> str:
    """The one line of error; the client must print nothing else and say that it failed."""
    assert client.main([str(arg) for arg in args]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("classify.py: error: ")
    return captured.err.rstrip("\n")
