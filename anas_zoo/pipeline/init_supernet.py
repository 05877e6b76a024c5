"""The supernet that a run starts from, or whose space is meant: where it is, and a copy of it in a run."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from anas_zoo.core.progress import note
from anas_zoo.entry import SupernetFolder, is_supernet
from anas_zoo.nets import load_supernet
from anas_zoo.pipeline.import_timm_supernet import import_timm_supernet
from anas_zoo.space import SearchSpace
from anas_zoo.zoo.hub import is_address
from anas_zoo.zoo.supernets import locate_supernet

OF_TIMM = "timm/"  # in front of the name of a network of timm's


def means_supernet(source: str | Path) -> bool:
    """Whether ``source`` is a supernet by itself, and not the folder of a run that has one."""
    return is_address(str(source)) or is_supernet(Path(source))


def open_supernet(source: str) -> SupernetFolder:
    """The supernet that :func:`anas_zoo.zoo.supernets.locate_supernet` finds, its record read.

    ``timm/NAME`` is made of timm's network, in a folder that is removed when the process ends.

    Raises as that does, :class:`EntryError` for one that is not as its manifest says, and
    :class:`CheckpointError` for a network of timm's that cannot be had or be made a supernet.
    """
    if source.startswith(OF_TIMM) and not Path(source).exists():
        return _of_timm(source.removeprefix(OF_TIMM))
    folder = locate_supernet(source)
    # Of one on the Hub only what a run needs is downloaded, and compared with the manifest by that.
    return SupernetFolder.read(folder, check_hashes=not is_address(source))


def _of_timm(name: str) -> SupernetFolder:
    note(f"  make a supernet of timm's {name}")
    folder = tempfile.mkdtemp(prefix="anas-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return SupernetFolder.read(import_timm_supernet(name, Path(folder) / "supernet").folder)


def open_space(source: str | Path) -> tuple[SearchSpace, int | None]:
    """The search space that ``source`` means, and of a supernet how many classes it has.

    ``source`` is a preset's name, a YAML file, or what :func:`open_supernet` takes. Raises as that and
    :meth:`anas_zoo.space.SearchSpace.load` do.
    """
    text = str(source)
    if text not in SearchSpace.presets() and (is_address(text) or Path(source).is_dir()):
        supernet = open_supernet(text)
        return supernet.space, supernet.config.num_classes
    return SearchSpace.load(source), None


def copy_supernet(supernet: SupernetFolder, folder: Path) -> None:
    """Copy the record and the weights of ``supernet`` into the new ``folder``, and load them once.

    Raises as :func:`anas_zoo.nets.load_supernet` does: nothing starts from weights that are not as recorded.
    """
    folder.mkdir()
    for name in supernet.own_files:
        shutil.copyfile(supernet.folder / name, folder / name)
    load_supernet(folder)
