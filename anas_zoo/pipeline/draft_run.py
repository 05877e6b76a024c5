"""The run that a draft lies in, which knows what its network has seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anas_zoo.pipeline.finetune_run import FinetuneRun
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.run_folder import MARKER, RunFolder, kind_of_run

__all__ = ["run_of_draft"]


def run_of_draft(folder: Path, data: str | None = None) -> RunFolder[Any] | None:
    """The run of a draft ``RUN/subnets/NAME``, its images at ``data`` if given; None for other folders.

    Raises :class:`OutputError` for a run whose file cannot be read, and
    :class:`DataError` for other images than the run's.
    """
    folder = folder.resolve()
    run = folder.parent.parent
    if folder.parent.name != "subnets" or not (run / MARKER).is_file():
        return None
    return FinetuneRun.open(run, data) if kind_of_run(run) == "finetune" else Run.open(run, data)
