"""Which licence weights may get that were made from others, and how a draft gets the one that was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx

from anas_zoo.core.errors import EntryError
from anas_zoo.core.files import atomic_write, sha256_file, write_json
from anas_zoo.entry.config import Ancestor, WeightsInfo, hub_licence
from anas_zoo.entry.entry import CONFIG, Entry
from anas_zoo.entry.manifest import MANIFEST
from anas_zoo.zoo.draft import write_report

__all__ = [
    "AUTHORS_LICENCE",
    "AUTHORS_SOURCE",
    "broken_terms",
    "licence_of_derived",
    "under_licence",
    "write_licence",
]

# How an imported entry says where it comes from; those of before there was a lineage say nothing else.
AUTHORS_SOURCE = "the authors' supernet checkpoint, imported by anas-zoo"
AUTHORS_LICENCE = "CC-BY-NC-4.0"

# Licences that let changed weights be passed on under other terms.
PERMISSIVE = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0"}


def _permits(own: str, wanted: str) -> bool:
    name = own.strip().lower()
    return name == wanted.strip().lower() or name in PERMISSIVE or name.startswith("bsd-")


def licence_of_derived(own: str, wanted: str | None) -> str:
    """The licence of weights fine-tuned from ones under ``own``: ``wanted``, or the same where it is None.

    Raises :class:`EntryError` when ``own`` does not let them have another one.
    """
    if wanted is None or wanted.strip().lower() == own.strip().lower():
        return own
    if not _permits(own, wanted):
        raise EntryError(
            f"the entry's weights are under {own}, so what is fine-tuned from them cannot be under {wanted}; "
            "leave the licence out"
        )
    return wanted


def under_licence(entry: Entry, licence: str | None) -> Entry:
    """``entry`` with its weights under ``licence``, as read; None leaves it as it is, and so its files.

    Raises :class:`EntryError` for another licence than the one that an entry was published under.
    """
    weights = entry.config.anas.weights
    if licence is None or weights is None or weights.licence == licence:
        return entry
    if MANIFEST in entry.files:
        raise EntryError(
            f"{entry.folder} was published under {weights.licence}, which stays; leave out --licence, or "
            "publish its draft under another one"
        )
    own = entry.config.anas.model_copy(update={"weights": weights.model_copy(update={"licence": licence})})
    timms = entry.config.pretrained_cfg.model_copy(update={"license": hub_licence(licence)})
    return replace(entry, config=entry.config.model_copy(update={"anas": own, "pretrained_cfg": timms}))


def write_licence(folder: Path, entry: Entry) -> None:
    """Write the licence of ``entry`` into config.json and every ONNX file of ``folder``, a copy of it."""
    weights = entry.config.anas.weights
    assert weights is not None
    assert weights.licence is not None
    write_json(folder / CONFIG, entry.config.to_dict())
    files = {}
    for name, info in entry.report.files.items():
        model = onnx.load(folder / name)
        metadata = {one.key: one.value for one in model.metadata_props} | {"licence": weights.licence}
        onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
        atomic_write(folder / name, model.SerializeToString(deterministic=True))
        size, digest = (folder / name).stat().st_size, sha256_file(folder / name)
        files[name] = info.model_copy(update={"size_bytes": size, "sha256": digest})
    write_report(folder, entry.report.model_copy(update={"files": files}))


def broken_terms(weights: WeightsInfo) -> list[str]:
    """What the weights' lineage says against their licence, one line each."""
    licence = weights.licence or "no licence"
    return [
        f"the weights are made from {one.name}, which is under {one.licence}, so they cannot be under "
        f"{licence} without a 'permission' in that entry of anas.weights.lineage"
        for one in _ancestors(weights)
        if one.permission is None and not _permits(one.licence, licence)
    ]


def _ancestors(weights: WeightsInfo) -> Iterator[Ancestor]:
    yield from weights.lineage
    if not weights.lineage and weights.source.startswith(AUTHORS_SOURCE):
        sha256 = weights.source_sha256 or weights.sha256
        yield Ancestor(name="the authors' checkpoint", sha256=sha256, licence=AUTHORS_LICENCE)
