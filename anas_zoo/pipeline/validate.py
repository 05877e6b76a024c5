"""Stage: an entry's exported files -> their parity with torch."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.entry import Entry, Parity
from anas_zoo.pipeline.deploy import validate_entry
from anas_zoo.zoo.shelf import locate

__all__ = ["validate"]


def validate(entry: str | Path | Entry, *, data: str | None = None) -> dict[str, Parity]:
    """Run every exported file of an entry and compare its logits with torch's.

    The draft of a run is validated on all images of the run's test split and gets the result into its report;
    anything else on its golden images, and stays as it is.

    Args:
        entry: a model of the shelf, the folder of a draft or an entry, or ``hf://org/name``.
        data: where the images of the draft's run are now, if they moved; the run remembers it.

    Returns what was found by name of the file. Raises :class:`EntryError` for an entry without exported files
    or ``data`` where there is no run, and :class:`ExportError` for a file that does not compute what torch
    does.
    """
    return validate_entry(locate(entry), data)
