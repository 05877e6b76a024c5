"""Processes that are killed and resumed, and processes that work together."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

__all__ = ["exit_codes", "free_port", "join_as", "kill_at_random"]


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


def kill_at_random(command: list[str], folder: Path, *, kills: int, share: tuple[float, float]) -> None:
    """Run ``command --out whole`` in ``folder``, and ``--out cut``, killed and resumed until it ends.

    It is killed at most ``kills`` times, each after a random ``share`` of the time that the whole run took.
    """
    began = time.monotonic()
    subprocess.run([*command, "--out", "whole"], check=True, capture_output=True, cwd=folder)
    seconds = time.monotonic() - began
    rng, killed = random.Random(0), 0
    while True:
        cut = subprocess.Popen(
            [*command, "--out", "cut", "--resume"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:
            _, errors = cut.communicate(timeout=seconds * rng.uniform(*share) if killed < kills else None)
            assert cut.returncode == 0, errors.decode()
            break
        except subprocess.TimeoutExpired:
            cut.kill()
            cut.communicate()
            killed += 1
    assert killed >= 1
