"""A program that is killed from outside, in the middle of its work."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["run_and_kill"]


def run_and_kill(
    command: Sequence[str], state: Callable[[], object], changes: int, delay_s: float, cwd: Path | None = None
) -> None:
    """Start ``command`` and kill it ``delay_s`` after ``state()`` has changed ``changes`` times.

    Counting changes instead of seconds makes it as likely to be in the middle on a slow machine.
    """
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = state()
    while changes and process.poll() is None:
        time.sleep(0.002)
        if (now := state()) != last:
            last, changes = now, changes - 1
    time.sleep(delay_s)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it ended by itself"
