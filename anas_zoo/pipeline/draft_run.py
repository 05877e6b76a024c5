"""The run that a draft lies in, which knows what its network has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anas_zoo.pipeline.finetune_run import FinetuneRun
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, kind_of_run

__all__ = ["run_of_draft"]


def run_of_draft(folder: Path) -> RunFolder[Any] | None:
    """The run of a draft ``RUN/subnets/NAME``; None for any other folder.

    Raises :class:`anas_zoo.errors.OutputError` for a run whose file cannot be read.
    """
    folder = folder.resolve()
    run = folder.parent.parent
    if folder.parent.name != "subnets" or not (run / MARKER).is_file():
        return None
    return FinetuneRun.open(run) if kind_of_run(run) == "finetune" else Run.open(run)
