"""What takes long to make is made once for all processes of a test run; tests that change it copy it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

__all__ = ["made_once"]


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """``folder``, filled by ``make`` unless another process of this test run has done it.

    It stays where it was made, since a run's folder knows its own place; nobody may change it.
    """
    done = folder.with_name(folder.name + ".done")
    with FileLock(folder.with_name(folder.name + ".lock")):
        if not done.exists():
            make(folder)
            done.touch()
    return folder
