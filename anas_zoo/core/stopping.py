"""How work that was interrupted resumes: said by the block that knows, printed by the command line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

__all__ = ["as_started", "how_to_resume", "resumable"]

_MARK = "resuming: "


@contextlib.contextmanager
def resumable(how: Callable[[], str]) -> Iterator[None]:
    """Let whatever ends the block early carry the text of ``how``, asked then; '' says nothing.

    Of nested blocks the outermost one is heard: it is what the user started.
    """
    try:
        yield
    except BaseException as exc:  # a signal may come out as anything, such as a torn connection
        if text := how():
            exc.add_note(_MARK + text)
        raise


def how_to_resume(error: BaseException) -> str:
    """What the outermost :func:`resumable` block said of ``error``; '' where there was none."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_MARK)]
    return notes[-1].removeprefix(_MARK) if notes else ""


def as_started(command: str) -> str:
    """``command``, an ``anas ...``, with torchrun in front where that started this process."""
    count, here = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if count == 1:
        return command
    words = command.removeprefix("anas ")
    if count == here:
        return f"torchrun --nproc-per-node {count} -m anas_zoo.cli {words}"
    return f"torchrun ... -m anas_zoo.cli {words}"
