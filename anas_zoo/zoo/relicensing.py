"""Which licence weights may get that were made from others."""

from __future__ import annotations

from collections.abc import Iterator

from anas_zoo.errors import EntryError
from anas_zoo.zoo.schemas import Ancestor, WeightsInfo

__all__ = ["AUTHORS_LICENCE", "AUTHORS_SOURCE", "broken_terms", "licence_of_derived"]

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


def broken_terms(weights: WeightsInfo) -> list[str]:
    """What the weights' lineage says against their licence, one line each."""
    return [
        f"the weights are made from {one.name}, which is under {one.licence}, so they cannot be under "
        f"{weights.licence} without a 'permission' in that entry of anas.weights.lineage"
        for one in _ancestors(weights)
        if one.permission is None and not _permits(one.licence, weights.licence)
    ]


def _ancestors(weights: WeightsInfo) -> Iterator[Ancestor]:
    yield from weights.lineage
    if not weights.lineage and weights.source.startswith(AUTHORS_SOURCE):
        sha256 = weights.source_sha256 or weights.sha256
        yield Ancestor(name="the authors' checkpoint", sha256=sha256, licence=AUTHORS_LICENCE)
