"""Which entries of a catalog are within limits, and in which order they are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anas_zoo.core.errors import EntryError, nearest
from anas_zoo.entry import hub_licence
from anas_zoo.zoo.catalog.model import CatalogModel

__all__ = ["Limits", "select"]

KINDS = ("measured", "published", None)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an entry has to keep; None asks for nothing. A number that nobody knows keeps no limit.

    Attributes:
        max_mflops: millions of multiply-adds.
        min_top1_pct: top-1, measured or, where nothing was measured, published.
        max_latency_ms: median of one image on one thread, on the machine that the entry names.
        licence: of the weights, in any spelling.
    """

    max_mflops: float | None = None
    min_top1_pct: float | None = None
    max_latency_ms: float | None = None
    licence: str | None = None

    def keeps(self, model: CatalogModel) -> bool:
        """Whether ``model`` is within all of them."""
        quickest = model.quickest
        return (
            (self.max_mflops is None or model.macs <= self.max_mflops * 1e6)
            and (self.min_top1_pct is None or (model.top1_pct or 0.0) >= self.min_top1_pct)
            and (
                self.max_latency_ms is None
                or (quickest is not None and quickest[1].p50_ms <= self.max_latency_ms)
            )
            and (self.licence is None or (model.licence or "") == hub_licence(self.licence))
        )


def select(models: Iterable[CatalogModel], limits: Limits | None = None) -> list[CatalogModel]:
    """Those within ``limits``: measured ones first, then published, by their images, best first.

    Figures on different images are never ranked against each other, nor measured against published ones.
    Raises :class:`EntryError` for a licence that none of ``models`` has.
    """
    listed = list(models)
    limits = limits or Limits()
    licences = sorted({model.licence for model in listed if model.licence})
    if limits.licence is not None and hub_licence(limits.licence) not in licences:
        known = ", ".join(licences) or "none"
        hint = nearest(hub_licence(limits.licence), licences)
        raise EntryError(f"no model here has the licence {limits.licence!r}{hint}; licences: {known}")
    return sorted(filter(limits.keeps, listed), key=_order)


def _order(model: CatalogModel) -> tuple[int, str, float, int, str]:
    kind = KINDS.index(model.top1_kind)
    return kind, model.data or "", -(model.top1_pct or 0.0), model.macs, model.location
