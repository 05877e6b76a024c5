"""The supernet that a run starts from: where it is, and a copy of it in the run."""

from __future__ import annotations

import shutil
from pathlib import Path

from anas_zoo.entry import CARD, MANIFEST, SupernetFolder, is_supernet
from anas_zoo.entry.manifest import SUPERNET_PLACE
from anas_zoo.nets.checkpoint import load_supernet

ON_THE_HUB = ("hf-hub:", "hf://")


def means_supernet(source: str | Path) -> bool:
    """Whether ``source`` is a supernet by itself, and not the folder of a run that has one."""
    return str(source).startswith(ON_THE_HUB) or is_supernet(Path(source))


def open_supernet(source: str) -> SupernetFolder:
    """The supernet that ``source`` means: a folder, that of a run, or ``hf-hub:org/name``."""
    folder = Path(source)
    if not is_supernet(folder) and is_supernet(folder / SUPERNET_PLACE):
        folder = folder / SUPERNET_PLACE
    return SupernetFolder.read(folder)


def copy_supernet(supernet: SupernetFolder, folder: Path) -> None:
    """Copy what belongs to ``supernet`` into the new ``folder``, and load it once.

    Raises as :func:`anas_zoo.nets.load_supernet` does: nothing starts from weights that are not as recorded.
    """
    further = (CARD, MANIFEST) if supernet.is_published else ()
    folder.mkdir()
    for name in (*supernet.own_files, *further):
        shutil.copyfile(supernet.folder / name, folder / name)
    load_supernet(folder)
