"""Which models of a catalog are within limits, and their order."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from anas_zoo.core.errors import EntryError, nearest
from anas_zoo.entry import hub_licence
from anas_zoo.zoo.catalog.model import CatalogModel

__all__ = ["select"]

KINDS = ("measured", "published", None)


def select(
    models: Iterable[CatalogModel],
    *,
    filter: str = "*",
    pretrained: bool = False,
    max_mflops: float | None = None,
    min_top1_pct: float | None = None,
    max_latency_ms: float | None = None,
    licence: str | None = None,
) -> list[CatalogModel]:
    """The models within all limits: measured ones first, then published, by their images, best first.

    Figures on different images are never ranked against each other, nor measured against published ones. A
    model whose number is unknown is outside a limit on it.

    Args:
        models: of one catalog.
        filter: pattern of names as the shell has them, such as "digits_*".
        pretrained: only models whose weights are there.
        max_mflops: millions of multiply-adds.
        min_top1_pct: top-1, measured or, where nothing was measured, published.
        max_latency_ms: median of one image on one thread, on the machine that the entry names.
        licence: of the weights, in any spelling.

    Raises :class:`EntryError` for a licence that none of ``models`` has.
    """
    listed = list(models)
    licences = sorted({model.licence for model in listed if model.licence})
    if licence is not None and hub_licence(licence) not in licences:
        known = ", ".join(licences) or "none"
        hint = nearest(hub_licence(licence), licences)
        raise EntryError(f"no model here has the licence {licence!r}{hint}; licences: {known}")

    def within(model: CatalogModel) -> bool:
        latency_ms = None if model.quickest is None else model.quickest[1].p50_ms
        return (
            fnmatchcase(model.name, filter)
            and (model.has_weights or not pretrained)
            and (max_mflops is None or model.macs <= max_mflops * 1e6)
            and (min_top1_pct is None or (model.top1_pct or 0.0) >= min_top1_pct)
            and (max_latency_ms is None or (latency_ms is not None and latency_ms <= max_latency_ms))
            and (licence is None or model.licence == hub_licence(licence))
        )

    return sorted((model for model in listed if within(model)), key=_order)


def _order(model: CatalogModel) -> tuple[int, str, float, int, str]:
    kind = KINDS.index(model.top1_kind)
    return kind, model.data or "", -(model.top1_pct or 0.0), model.macs, model.location
