"""A pretrained network of timm's -> a supernet's folder, or an entry's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, overload

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.files import refuse_occupied
from anas_zoo.core.hints import Option
from anas_zoo.nets.sources.timm_network import NotElasticError
from anas_zoo.pipeline.import_timm_entry import import_timm_entry
from anas_zoo.pipeline.import_timm_supernet import ImportedTimm, import_timm_supernet
from anas_zoo.pipeline.imported_entry import ImportedEntry


@overload
def import_timm(
    name: str,
    *,
    out: str | Path,
    as_: Literal["supernet"] = "supernet",
    checkpoint: str | Path | None = None,
    resolution: int | Sequence[int] | None = None,
    licence: str | None = None,
    data: str | Path | None = None,
    evaluation_images: int = 1000,
) -> ImportedTimm: ...


@overload
def import_timm(
    name: str,
    *,
    out: str | Path,
    as_: Literal["supernet", "entry"],
    checkpoint: str | Path | None = None,
    resolution: int | Sequence[int] | None = None,
    licence: str | None = None,
    data: str | Path | None = None,
    evaluation_images: int = 1000,
) -> ImportedTimm | ImportedEntry: ...


def import_timm(
    name: str,
    *,
    out: str | Path,
    as_: Literal["supernet", "entry"] = "supernet",
    checkpoint: str | Path | None = None,
    resolution: int | Sequence[int] | None = None,
    licence: str | None = None,
    data: str | Path | None = None,
    evaluation_images: int = 1000,
) -> ImportedTimm | ImportedEntry:
    """Make a pretrained network of timm's elastic and write it as a supernet; or write it as an entry.

    As a supernet it is the largest subnet, with the same logits. Depth, expand ratio, kernel size and
    resolution are elastic (see :func:`anas_zoo.nets.sources.timm_network.read_timm_network`); what is smaller
    has to be fine-tuned before it is worth much.

    As an entry it may be any classifier of timm's. One that could be a supernet is written as a subnet, which
    can be exported to every target; any other as it is, which timm loads by its own name.

    Args:
        name: timm's, such as ``tf_efficientnet_lite0``; timm downloads the weights.
        out: the new folder of the supernet or of the entry's draft.
        as_: ``supernet`` or ``entry``.
        checkpoint: a file of the network's state dict (safetensors or ``torch.save``'s) instead of a
            download.
        resolution: of a supernet, sides of the input in pixels that can be chosen; by default steps of 32
            from two fifths of timm's up to it.
        licence: SPDX name of the licence of the weights; by default what timm says of those that it
            downloads.
        data: of an entry, a source of images to measure its accuracy on (see
            :func:`anas_zoo.data.open_source`): its test part, or all of them where there is none.
        evaluation_images: how many of them at most, balanced over the classes; 0 for none.

    Raises :class:`CheckpointError` for a network that cannot become that, or a checkpoint that does not fit,
    :class:`EntryError` for a licence that the weights' does not permit, :class:`DataError`,
    :class:`OutputError` when ``out`` is taken.
    """
    out = Path(out)
    refuse_occupied(out)
    file = None if checkpoint is None else Path(checkpoint)
    if as_ == "entry":
        if resolution is not None:
            raise ConfigError("an entry has the one resolution of timm's; leave out ", Option("resolution"))
        return import_timm_entry(name, out, file, licence, data, evaluation_images)
    if data is not None:
        raise ConfigError(
            Option("data"),
            " measures an entry; add ",
            Option("as", "entry"),
            ", or search the supernet with it",
        )
    try:
        return import_timm_supernet(name, out, file, resolution, licence)
    except NotElasticError as exc:
        raise type(exc)(*exc.parts, "; as it is, it can be an entry: ", Option("as", "entry")) from exc
