"""What several commands need to know of an entry: where it lies, and what its numbers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anas_zoo.zoo import Entry
    from anas_zoo.zoo.catalog import CatalogModel

__all__ = ["catalog_summary", "find_entry", "summary"]


def find_entry(text: str) -> Path:
    """The folder that ``text`` names, as :func:`anas_zoo.zoo.shelf.resolve` reads it for Python too.

    Another name of the shelf's architecture, or its id, leads to the shelf's entry, which is said on stderr.
    An entry of the Hub (hf://org/name) is downloaded into the Hub's cache first and checked there.

    Raises :class:`NotOnShelfError` for an unknown name, with the nearest known one, and
    :class:`EntryError` for an entry that cannot be had or was altered.
    """
    from anas_zoo.core.errors import NotOnShelfError
    from anas_zoo.core.progress import note
    from anas_zoo.zoo.shelf import locate, resolve

    if Path(text).is_file():
        raise NotOnShelfError(f"{text} is a file; give an entry's folder, or a model of the shelf: anas list")
    found = resolve(text)
    if not isinstance(found, Path):
        return locate(text)
    if found.name not in text:  # neither its name nor a path that ends in it
        note(f"  {text} is the architecture of {found.name}")
    return found


def summary(entry: Entry) -> dict[str, Any]:
    """The numbers that tell one entry from another, as plain data.

    ``top1_kind`` says whether ``top1_pct`` was measured here or published by others. Multiply-adds and
    parameters are exact; they follow from the architecture where no report has them.
    """
    from anas_zoo.space import count_by_walking

    config, report = entry.config, entry.report
    macs, params = count_by_walking(config.model_args.structure, config.arch, config.num_classes)
    accuracy, published = report.accuracy, report.published
    weights = config.anas.weights
    return {
        "name": entry.name,
        "arch_id": config.anas.arch_id,
        "resolution": config.arch.resolution,
        "num_classes": config.num_classes,
        "macs": macs,
        "params": params,
        "top1_pct": accuracy.top1_pct if accuracy else published.top1_pct if published else None,
        "top1_kind": "measured" if accuracy else "published" if published else None,
        "has_weights": entry.has_weights,
        "weights_licence": weights.licence if weights else config.pretrained_cfg.license,
    }


def catalog_summary(model: CatalogModel) -> dict[str, Any]:
    """:func:`summary` of an entry in a catalog, with what it was measured on, its latency and other names."""
    quickest = model.quickest
    return {
        "name": model.name,
        "arch_id": model.id,
        "resolution": model.resolution,
        "num_classes": model.num_classes,
        "macs": model.macs,
        "params": model.params,
        "top1_pct": model.top1_pct,
        "top1_kind": model.top1_kind,
        "top1_data": model.data,
        "latency_ms": None if quickest is None else quickest[1].p50_ms,
        "latency_file": None if quickest is None else quickest[0],
        "latency_machine": None if quickest is None else quickest[1].machine,
        "has_weights": model.has_weights,
        "weights_licence": model.licence,
        "other_names": list(model.other_names),
        "folder": model.location,
    }
