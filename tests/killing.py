"""Processes that are killed and resumed, and processes that work together."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def join_as(rank: int, count: int, port: int) -> None:
    """Make this process number ``rank`` of ``count``, as torchrun does."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}


def exit_codes(context: ForkServerContext, target: Callable[..., None], *calls: tuple[Any, ...]) -> list[int]:
    """How processes end that run ``target`` at the same time, one for each of ``calls``, its arguments."""
    processes = [context.Process(target=target, args=arguments) for arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()  # one that waits for another in vain
    return [1 if code is None else code for code in codes]


def kill_at_random(command: list[str], folder: Path, *, kills: int, watched: str, changes: int) -> None:
    """Run ``command --out whole`` in ``folder``, and ``--out cut``, killed and resumed until it ends.

    Each kill comes a moment after the files ``watched`` (a pattern in ``cut``) have changed, at random once
    to ``changes`` times: seconds would mean another place on a slower machine.
    """

    def state() -> list[tuple[str, int]]:
        found = []
        for path in sorted((folder / "cut").glob(watched)):
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                found.append((path.name, path.stat().st_size))
        return found

    subprocess.run([*command, "--out", "whole"], check=True, capture_output=True, cwd=folder)
    resumed, rng = [*command, "--out", "cut", "--resume"], random.Random(0)
    for _ in range(kills):
        cut = subprocess.Popen(resumed, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        last, left = state(), rng.randint(1, changes)
        while left and cut.poll() is None:
            time.sleep(0.002)
            if (now := state()) != last:
                last, left = now, left - 1
        time.sleep(rng.uniform(0, 0.1))
        cut.kill()
        assert cut.wait() == -signal.SIGKILL, "it ended by itself"
    subprocess.run(resumed, check=True, capture_output=True, cwd=folder)
