"""The numbers of an entry that several commands show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anas_zoo.zoo.catalog import CatalogModel


def summary(model: CatalogModel) -> dict[str, Any]:
    """The numbers of an entry as plain data.

    ``top1_kind`` says whether ``top1_pct`` was measured here or published by others, ``top1_interval_pct`` is
    the 95 % interval of what was measured, ``latency_ms`` is the
    median of one image on one thread; None stands for what is unknown.
    """
    quickest = model.quickest
    return {
        "name": model.name,
        "arch_id": model.id,
        "resolution": model.resolution,
        "num_classes": model.num_classes,
        "macs": model.macs,
        "params": model.params,
        "top1_pct": model.top1_pct,
        "top1_interval_pct": None if model.accuracy is None else list(model.accuracy.top1_interval_pct),
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
