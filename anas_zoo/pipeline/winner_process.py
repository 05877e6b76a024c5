"""A process that trains one of a run's winners; :mod:`anas_zoo.pipeline.winners` starts it.

Run as ``python -m anas_zoo.pipeline.winner_process RUN NAME THREADS``.
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
from anas_zoo.pipeline.winners import trained_winner


def main(folder: str, name: str, threads: str) -> int:
    """Train; the exit status."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    silence()
    run = Run.open(Path(folder))
    torch.set_num_threads(int(threads))
    try:
        trained_winner(run, name)
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
