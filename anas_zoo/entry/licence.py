"""Licences of weights: which one derived weights may get, and how to get those that are not shipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from anas_zoo.core.errors import EntryError, NoWeightsError
from anas_zoo.core.hints import Call, Option, as_command_line
from anas_zoo.entry.config import Ancestor, EntryConfig, WeightsInfo
from anas_zoo.entry.folder import CheckedFolder

F = TypeVar("F", bound=CheckedFolder)

# How an imported entry says where it comes from; those of before there was a lineage say nothing else.
AUTHORS_SOURCE = "the authors' supernet checkpoint, imported by anas-zoo"
AUTHORS_LICENCE = "CC-BY-NC-4.0"
# What once-for-all's authors say of the licence of their weights.
OFA_LICENCE = "MIT"
OFA_TERMS = (
    "the licence of the code that the weights are handed out beside, without a statement of their own; the "
    "same author's repository han-cai/ofa on the Hub is tagged mit"
)

# Licences that let changed weights be passed on under other terms.
PERMISSIVE = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0"}


@dataclass(frozen=True)
class ImportWay:
    """How a user gets an entry with the weights of a network that others published.

    Attributes:
        call: the import.
        give: what the import reads, which the user downloads.
        folder: of the entry, after it.
        calibrates: whether it takes images that batch norm is calibrated on.
        terms: how the licence of the weights is known, where their authors do not state it for them.
    """

    call: Call
    give: str
    folder: str
    calibrates: bool
    terms: str | None = None

    @property
    def command(self) -> str:
        """For cards and pages, which show commands."""
        return as_command_line([self.call])


def import_way(name: str, space: str) -> ImportWay:
    """The import for the network ``name`` of the shelf, which the space of its architecture tells."""
    if space.startswith("ofa_"):
        call = Call("import ofa", "FOLDER", out=name)
        return ImportWay(
            call, "the authors' folder of it (net.config, run.config, init)", name, False, OFA_TERMS
        )
    call = Call("import attentive-nas", "CHECKPOINT", data="DIR", entries="DIR")
    return ImportWay(call, "the authors' checkpoint", f"DIR/{name}", True)


def no_weights(config: EntryConfig) -> NoWeightsError:
    """The error about an entry without weights: why there are none, and how to get an entry with them."""
    name, licence = config.anas.name, config.pretrained_cfg.license
    way = import_way(name, config.space.name)
    terms = f" (licence of their authors: {licence})" if licence else ""
    return NoWeightsError(
        f"{name} has no weights on the shelf: they are not distributed here{terms}; make an entry from "
        f"{way.give} with: ",
        way.call,
        f", then load the folder {way.folder}",
    )


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


def under_licence(found: F, licence: str | None) -> F:
    """An entry or a supernet with its weights under ``licence``; None leaves it. Its files stay as they are.

    Raises :class:`EntryError` for another licence than the one that it was published under.
    """
    weights = found.weights
    if licence is None or weights is None or weights.licence == licence:
        return found
    if found.is_published:
        raise EntryError(
            f"{found.folder} was published under {weights.licence}, which stays; leave out ",
            Option("licence"),
            ", or publish its draft under another one",
        )
    return found.with_licence(licence)


def broken_terms(weights: WeightsInfo) -> list[str]:
    """What the weights' lineage says against their licence, one line each."""
    licence = weights.licence or "no licence"
    return [
        f"the weights are made from {one.name}, which is under {one.licence}, so they cannot be under "
        f"{licence} without a 'permission' in that item of weights.lineage"
        for one in _ancestors(weights)
        if one.permission is None and not _permits(one.licence, licence)
    ]


def _ancestors(weights: WeightsInfo) -> Iterator[Ancestor]:
    yield from weights.lineage
    if not weights.lineage and weights.source.startswith(AUTHORS_SOURCE):
        sha256 = weights.source_sha256 or weights.sha256
        yield Ancestor(name="the authors' checkpoint", sha256=sha256, licence=AUTHORS_LICENCE)
