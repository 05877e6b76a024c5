"""How a command is printed so that it starts as this process was started."""

from __future__ import annotations

import os
from collections.abc import Iterable

from anas_zoo.core.hints import Call, Part, as_command_line

__all__ = ["as_started", "first_process"]


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


def first_process() -> bool:
    """Whether this process, of all that torchrun started, is the one that prints."""
    return os.environ.get("RANK", "0") == "0"
