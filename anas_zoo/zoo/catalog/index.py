"""A catalog: the entries of a folder or of an organisation on the Hub, in order, and as index.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from anas_zoo.core.errors import EntryError, HubError, nearest
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note
from anas_zoo.core.schema import Schema
from anas_zoo.core.text import quoted
from anas_zoo.entry import CONFIG, MANIFEST, REPORT, Entry, entries_nearby, hub_licence
from anas_zoo.zoo.catalog.model import CatalogModel, model_of
from anas_zoo.zoo.hub import HubAddress, snapshot
from anas_zoo.zoo.hub.client import hub_api, hub_errors

INDEX = "index.json"
KINDS = ("measured", "published", None)


class Index(Schema):
    """index.json.

    Attributes:
        source: what was indexed: a folder's name, or ``hf://org``.
        models: its entries, best first, as :func:`select` orders them.
        left_out: repositories of the organisation that hold an entry which cannot be used, and why.
    """

    format: Literal[1] = 1
    source: str
    models: tuple[CatalogModel, ...]
    left_out: dict[str, str] = Field(default_factory=dict)


def entries_in(folder: Path) -> list[Path]:
    """The folders of entries: ``folder`` itself where it is one, else those in it, by name.

    Raises :class:`EntryError` where there is none.
    """
    if not folder.is_dir():
        raise EntryError(f"{folder}: no such folder; give one that holds entries")
    if (folder / CONFIG).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{CONFIG}") if not path.parent.name.startswith("."))
    if not found:
        if near := entries_nearby(folder):
            raise EntryError(f"{folder} holds no entry itself; give {quoted(near[0].parent)}, which does")
        raise EntryError(
            f"{folder} holds no entry, which is a folder with a {CONFIG}; publish one into it: ",
            Call("publish", "DRAFT", to=folder / "NAME"),
        )
    return found


def read_folder(folder: Path, *, check_hashes: bool = False) -> list[CatalogModel]:
    """All entries in ``folder``, by the folders' names, each with all names of its architecture.

    Raises :class:`EntryError` for an entry that cannot be read, a folder without any, and one name of two
    architectures.
    """
    return check_names(model_of(Entry.read(path, check_hashes=check_hashes)) for path in entries_in(folder))


def check_names(models: Iterable[CatalogModel]) -> list[CatalogModel]:
    """``models``, each with all names of its architecture.

    Raises :class:`EntryError` for one name of two architectures, with the places where they lie.
    """
    listed = list(models)
    first: dict[str, CatalogModel] = {}
    for model in listed:
        known = first.setdefault(model.name, model)
        if known.content != model.content:
            raise EntryError(
                f"{model.name!r} names two architectures, {_described(known, model)} in {known.location} and "
                f"{_described(model, known)} in {model.location}; publish one of them under another name"
            )
    return [_with_names(model, listed) for model in listed]


def _described(model: CatalogModel, other: CatalogModel) -> str:
    return model.id if model.id != other.id else f"{model.id} of the structure {model.structure}"


def _with_names(model: CatalogModel, models: Sequence[CatalogModel]) -> CatalogModel:
    same = [one.name for one in models if one.content == model.content and one.name != model.name]
    names = dict.fromkeys([*same, *(name for name in model.other_names if name not in same)])
    return model.model_copy(update={"other_names": tuple(names)})


def index_folder(folder: Path) -> Index:
    """The index of a folder's published entries, every file compared with its hash.

    Raises :class:`EntryError` for a draft (which has no manifest), an altered file, or as
    :func:`read_folder` does.
    """
    models = read_folder(folder, check_hashes=True)
    for model in models:
        if not model.files:
            raise EntryError(
                f"{folder}/{model.location} has no {MANIFEST}, so it is a draft; publish it first: ",
                Call("publish", folder / model.location, to="DIR"),
            )
    return Index(source=folder.resolve().name, models=tuple(select(models)))


def index_organisation(author: str) -> Index:
    """The index of all entries of ``author``, each at the commit that its branch is at now.

    Repositories without a manifest.json are not entries and are skipped. A damaged entry is left out and
    listed with the reason, so that one mistake does not hide the other models.

    Args:
        author: organisation or user, at the endpoint that HF_ENDPOINT names.

    Raises :class:`HubError` when the Hub cannot be read, :class:`EntryError` when it holds no entry of
    ``author`` or has one name for two architectures.
    """
    fields: Any = ["sha", "siblings"]
    with hub_errors(HubAddress(author)):
        found = list(hub_api().list_models(author=author, expand=fields))
    models, left_out = [], {}
    for info in found:
        if MANIFEST not in {sibling.rfilename for sibling in info.siblings or ()}:
            continue
        try:
            entry = Entry(snapshot(HubAddress(info.id, info.sha), [CONFIG, REPORT]))
            models.append(model_of(entry, location=info.id, commit=info.sha))
        except HubError:
            raise
        except EntryError as exc:
            left_out[info.id] = str(exc)
            note(f"left out: {exc}")
    if not models and not left_out:
        raise EntryError(
            f"hf://{author} has no model with a {MANIFEST}; publish one: ",
            Call("publish", "DRAFT", to=f"hf://{author}/NAME"),
        )
    return Index(source=f"hf://{author}", models=tuple(select(check_names(models))), left_out=left_out)


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
