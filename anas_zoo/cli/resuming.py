"""What an interrupted command says of resuming, and how a command is printed as it was started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from anas_zoo.core.hints import Call, Part, as_command_line
from anas_zoo.core.stopping import resumable

__all__ = ["as_started", "resumable_run"]


def resumable_run(folder: Path, again: Call, made: str) -> contextlib.AbstractContextManager[None]:
    """Let an interruption say what resumes a run, and from which step its training resumes.

    Args:
        folder: the run's; before there is a run in it, nothing is said.
        again: what resumes it.
        made: the sub-folder that appears when the training is over.
    """

    def how() -> tuple[Part, ...]:
        from anas_zoo.training.checkpoint import latest_step

        if not (folder / "run.json").is_file():
            return ()
        step = "" if (folder / made).exists() else f" from step {latest_step(folder / 'training')}"
        return (f"resume{step} with: ", again)

    return resumable(how)


def as_started(parts: Iterable[Part]) -> str:
    """The command line's text of ``parts``, its commands with torchrun where that started this process."""
    return "".join(
        _with_torchrun(part) if isinstance(part, Call) else as_command_line([part]) for part in parts
    )


def _with_torchrun(call: Call) -> str:
    command = as_command_line([call])
    count, here = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if count == 1:
        return command
    processes = f"--nproc-per-node {count}" if count == here else "..."
    return f"torchrun {processes} -m anas_zoo.cli {command.removeprefix('anas ')}"
