"""The supernet that a run starts from: where it is, and a copy of it in the run."""

from __future__ import annotations

import shutil
from pathlib import Path

from anas_zoo.entry import SupernetFolder, is_supernet
from anas_zoo.nets import load_supernet
from anas_zoo.zoo.hub import is_address
from anas_zoo.zoo.supernets import locate_supernet


def means_supernet(source: str | Path) -> bool:
    """Whether ``source`` is a supernet by itself, and not the folder of a run that has one."""
    return is_address(str(source)) or is_supernet(Path(source))


def open_supernet(source: str) -> SupernetFolder:
    """The supernet that :func:`anas_zoo.zoo.supernets.locate_supernet` finds, its record read.

    Raises as that does, and :class:`EntryError` for one that is not as its manifest says.
    """
    folder = locate_supernet(source)
    # Of one on the Hub only what a run needs is downloaded, and compared with the manifest by that.
    return SupernetFolder.read(folder, check_hashes=not is_address(source))


def copy_supernet(supernet: SupernetFolder, folder: Path) -> None:
    """Copy the record and the weights of ``supernet`` into the new ``folder``, and load them once.

    Raises as :func:`anas_zoo.nets.load_supernet` does: nothing starts from weights that are not as recorded.
    """
    folder.mkdir()
    for name in supernet.own_files:
        shutil.copyfile(supernet.folder / name, folder / name)
    load_supernet(folder)
