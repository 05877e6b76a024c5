"""The entries of an organisation on the Hub, from their three small files alone."""

from __future__ import annotations

from typing import Any

from anas_zoo.core.errors import EntryError, HubError
from anas_zoo.core.hints import Call
from anas_zoo.core.progress import note
from anas_zoo.entry import CONFIG, MANIFEST, REPORT, Entry
from anas_zoo.zoo.catalog.collecting import check_names
from anas_zoo.zoo.catalog.index import Index, build_index
from anas_zoo.zoo.catalog.model import CatalogModel, content_key, model_of
from anas_zoo.zoo.catalog.names import other_names
from anas_zoo.zoo.hub import HubAddress, snapshot
from anas_zoo.zoo.hub.client import hub_api, hub_errors

__all__ = ["index_organisation"]


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
            models.append(_read(HubAddress(info.id, info.sha)))
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
    return build_index(f"hf://{author}", check_names(models), left_out)


def _read(address: HubAddress) -> CatalogModel:
    entry = Entry(snapshot(address, [CONFIG, REPORT]))
    return model_of(
        entry.config,
        entry.report,
        location=address.repo_id,
        files=entry.manifest.files,
        commit=address.revision,
        other_names=other_names(content_key(entry.config), entry.name),
    )
