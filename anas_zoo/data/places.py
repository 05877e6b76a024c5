"""Where the images of a source lie: its name as it is opened from any folder."""

from __future__ import annotations

from pathlib import Path

from anas_zoo.data.hf_datasets import place_and_config
from anas_zoo.data.sources import BUILT_IN, KINDS

__all__ = ["path_of_source", "source_seen_from"]


def _cut(name: str) -> tuple[str, str]:
    """(kind with its slash, path); the kind is empty for a folder of images."""
    kind, _, rest = name.partition("/")
    return (f"{kind}/", rest) if kind in KINDS and rest else ("", name)


def path_of_source(name: str, folder: Path) -> Path | None:
    """What has to be there for the source that ``name`` means in ``folder``; None where no path is meant.

    Of a pattern of shards that is the folder that they are in.
    """
    if name in BUILT_IN:
        return None
    kind, rest = _cut(name)
    path = folder / (place_and_config(rest, folder)[0] if kind == "hfds/" else rest)
    if kind == "hfds/" and not path.exists() and not Path(rest).is_absolute():
        return None  # on the Hub
    return path.parent if kind == "wds/" and "{" in path.name else path


def source_seen_from(name: str, folder: Path) -> str:
    """The name by which what ``name`` means in ``folder``, an absolute path, is opened from anywhere."""
    if path_of_source(name, folder) is None:
        return name
    kind, rest = _cut(name)
    return f"{kind}{folder / rest}"
