"""Which entries somebody may have meant who gave a folder that is none."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.core.text import quoted

__all__ = ["entries_nearby", "what_is_meant"]

CONFIG, MANIFEST = "config.json", "manifest.json"
LISTED = 4
# Where the entries of a run are, those that are published first.
PLACES = (".", "zoo", "subnets")


def entries_nearby(folder: Path) -> list[Path]:
    """The entries in ``folder``, or of the run there: the published ones, else the drafts."""
    for place in PLACES:
        found = sorted(path.parent for path in (folder / place).glob(f"*/{CONFIG}"))
        if found := [path for path in found if not path.name.startswith(".")]:
            return found
    return []


def what_is_meant(folder: Path) -> str:
    """The end of an error about ``folder``, which lacks an entry's files; '' where nothing is near."""
    if (folder / CONFIG).is_file():
        if (folder / MANIFEST).exists():
            return ""
        return f"; this is a draft, so publish it first: anas publish {quoted(folder)} --to DIR"
    if found := entries_nearby(folder):
        names = ", ".join(quoted(path) for path in found[:LISTED])
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        return f"; {folder} is no entry, but these are: {names}{more}"
    if (folder / "run.json").is_file():
        return f"; {folder} is a run without subnets yet; make some: anas extract {quoted(folder)}"
    return ""
