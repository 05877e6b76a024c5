"""A process that trains fixed networks of a run beside others; :mod:`anas_zoo.pipeline.beside` starts it.

Run as ``python -m anas_zoo.pipeline.side_process RUN THREADS winners NAME,…``, or ``… yardsticks
SECONDS,NAME,…``.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import torch

from anas_zoo.core.errors import AnasError
from anas_zoo.core.progress import silence
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.winners import train_unclaimed
from anas_zoo.pipeline.yardstick import train_beside


def main(folder: str, threads: str, what: str, which: str) -> int:
    """Train; the exit status."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    silence()
    try:
        run = Run.open(Path(folder))
        run.use_threads()
        torch.set_num_threads(int(threads))
        if what == "winners":
            train_unclaimed(run, which.split(","))
        else:
            seconds, *names = which.split(",")
            for name in names:
                train_beside(run, name, float(seconds) if seconds else None)
    except AnasError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _end_with_the_parent() -> None:
    """Its standard input ends when the process that started it does; a checkpoint is then the last one."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
