"""Supernets in folders, runs and repositories: found, loaded and tried out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anas_zoo.core.errors import CheckpointError, EntryError
from anas_zoo.core.hints import Call
from anas_zoo.core.schema import read_json
from anas_zoo.core.text import quoted
from anas_zoo.entry import SUPERNET, SUPERNET_WEIGHTS, SupernetFolder, is_supernet
from anas_zoo.entry.manifest import RUN, SUPERNET_PLACE, what_is_meant

if TYPE_CHECKING:
    from anas_zoo.nets import Supernet

GIVE = "give the folder of a supernet or of a run, or hf-hub:org/name"
TRIED_IMAGES = 2  # batch norm needs more than one


def locate_supernet(source: str | Path | SupernetFolder) -> Path:
    """The folder of the supernet that ``source`` names; its files are not looked into.

    Args:
        source: a supernet's folder, the folder of a run that has trained one, "hf-hub:org/name" or
            "hf://org/name", with "@revision" to pin one; or a supernet, which stands for its folder. One of
            the Hub is downloaded into the Hub's cache where it is not there yet, and its record and weights
            are compared with the manifest.

    Raises :class:`EntryError` for what is none, :class:`CheckpointError` for a run without a trained one,
    and as :func:`anas_zoo.zoo.hub.snapshot` does.
    """
    from anas_zoo.zoo.hub import HubAddress, is_address, snapshot

    if isinstance(source, SupernetFolder):
        return source.folder
    if is_address(str(source)):
        return snapshot(HubAddress.parse(str(source)), [SUPERNET, SUPERNET_WEIGHTS])
    folder = Path(source)
    if not folder.is_dir():
        what = "a file" if folder.is_file() else "no folder"
        raise EntryError(f"{str(source)!r} is {what}; {GIVE}")
    if is_supernet(folder) or (folder / SUPERNET_WEIGHTS).is_file():
        return folder
    if not (folder / RUN).is_file():
        meant = what_is_meant(folder, SUPERNET)
        raise EntryError(f"{folder} has no {SUPERNET}", *(meant or (f"; {GIVE}",)))
    if (folder / SUPERNET_PLACE / SUPERNET_WEIGHTS).is_file():
        return folder / SUPERNET_PLACE
    record = read_json(folder / RUN, error=EntryError)
    if isinstance(record, dict) and record.get("kind") == "finetune":
        raise EntryError(f"{folder} is the run of a fine-tuning, which has no supernet")
    raise CheckpointError(
        f"{folder} has no trained supernet; train it: ", Call("train", out=folder, resume=True)
    )


def load_supernet(source: str | Path | SupernetFolder) -> Supernet:
    """A trained supernet: every subnet of its space, as ``supernet(images, arch)``.

    Args:
        source: a supernet's folder, the folder of a run that has trained one, "hf-hub:org/name", or what else
            :func:`locate_supernet` takes.

    What classes it has, how images are prepared for it and where it comes from is in its record,
    :attr:`anas_zoo.entry.SupernetFolder.config`.

    Raises :class:`EntryError` for what is no supernet or was altered, :class:`CheckpointError` for a file
    that does not load, :class:`HubError` for what the Hub refuses.
    """
    from anas_zoo.nets import load_supernet as load

    return load(source if isinstance(source, SupernetFolder) else locate_supernet(source))


def try_subnets(supernet: Supernet, folder: Path) -> dict[str, float]:
    """Run the smallest and the largest subnet on random images: the largest absolute logit of each.

    Raises :class:`EntryError` about ``folder`` when a logit is not finite.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, arch in (("smallest", supernet.space.smallest), ("largest", supernet.space.largest)):
        side = arch.resolution
        images = torch.randn(TRIED_IMAGES, 3, side, side, generator=generator)
        with torch.no_grad():
            logits = supernet(images, arch)
        if not torch.isfinite(logits).all():
            raise EntryError(f"{quoted(folder)}: the {name} subnet gives logits that are not finite")
        found[name] = float(logits.abs().max())
    return found
