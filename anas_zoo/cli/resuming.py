"""What an interrupted command says of resuming a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from anas_zoo.core.stopping import as_started, resumable

__all__ = ["resumable_run"]


def resumable_run(folder: Path, command: str, made: str) -> contextlib.AbstractContextManager[None]:
    """Let an interruption say ``command``, and from which step the training resumes.

    Args:
        folder: the run's; before there is a run in it, nothing is said.
        command: what resumes it, as ``anas ...``.
        made: the sub-folder that appears when the training is over.
    """

    def how() -> str:
        from anas_zoo.training.checkpoint import latest_step

        if not (folder / "run.json").is_file():
            return ""
        step = "" if (folder / made).exists() else f" from step {latest_step(folder / 'training')}"
        return f"resume{step} with: {as_started(command)}"

    return resumable(how)
