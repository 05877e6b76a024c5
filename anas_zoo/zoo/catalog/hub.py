"""The entries of an organisation on the Hub, from their three small files alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from anas_zoo.core.errors import EntryError, HubError
from anas_zoo.core.files import sha256_file
from anas_zoo.core.progress import note
from anas_zoo.core.schema import parse, read_json
from anas_zoo.core.text import quoted
from anas_zoo.entry import CONFIG, MANIFEST, REPORT, EntryConfig, EntryReport, Manifest
from anas_zoo.zoo.catalog.collecting import check_names
from anas_zoo.zoo.catalog.index import Index, build_index
from anas_zoo.zoo.catalog.model import CatalogModel, content_key, model_of
from anas_zoo.zoo.catalog.names import other_names
from anas_zoo.zoo.hub.address import HubAddress
from anas_zoo.zoo.hub.client import hub_api, hub_errors

__all__ = ["Api", "index_organisation"]

FIELDS = ["sha", "siblings"]


class Api(Protocol):
    """What is needed of :class:`huggingface_hub.HfApi`."""

    def list_models(self, *, author: str, expand: Any) -> Iterable[Any]:
        """The models of ``author``."""

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str) -> Any:
        """Path of one file in the cache."""


def index_organisation(author: str, api: Api | None = None) -> Index:
    """The index of all entries of ``author``, each at the commit that its branch is at now.

    Repositories without a manifest.json are no entries and are passed over. One that has a manifest and is no
    sound entry is left out, which the index says, so that nobody's mistake hides the others.

    Args:
        author: organisation or user.
        api: default is huggingface_hub's, at the endpoint that HF_ENDPOINT names.

    Raises :class:`HubError` when the Hub cannot be read, :class:`EntryError` when it holds no entry of
    ``author`` or has one name for two architectures.
    """
    hub: Any = hub_api() if api is None else api
    models, left_out = [], {}
    with hub_errors(HubAddress(author)):
        for info in hub.list_models(author=author, expand=FIELDS):
            if MANIFEST not in {sibling.rfilename for sibling in info.siblings or ()}:
                continue
            try:
                models.append(_read(hub, info.id, info.sha))
            except HubError:
                raise
            except EntryError as exc:
                left_out[info.id] = str(exc)
                note(f"left out: {exc}")
    if not models and not left_out:
        raise EntryError(
            f"hf://{author} has no model with a {MANIFEST}; publish one: anas publish DRAFT --to hf://{quoted(author)}/NAME"
        )
    return build_index(f"hf://{author}", check_names(models), left_out)


def _read(api: Api, repo: str, commit: str) -> CatalogModel:
    where = f"hf://{repo}"
    paths = {
        name: Path(api.hf_hub_download(repo, name, revision=commit)) for name in (MANIFEST, CONFIG, REPORT)
    }
    manifest = parse(
        Manifest, read_json(paths[MANIFEST], error=EntryError), f"{where}/{MANIFEST}", error=EntryError
    )
    for name in (CONFIG, REPORT):
        digest = manifest.files.get(name)
        # The Hub's client checks the size of what it brings, not its content.
        if digest is None or sha256_file(paths[name]) != digest.sha256:
            raise EntryError(f"{where}: {name} is not the file that its {MANIFEST} lists (SHA-256 differs)")
    config = parse(
        EntryConfig, read_json(paths[CONFIG], error=EntryError), f"{where}/{CONFIG}", error=EntryError
    )
    report = parse(
        EntryReport, read_json(paths[REPORT], error=EntryError), f"{where}/{REPORT}", error=EntryError
    )
    return model_of(
        config,
        report,
        location=repo,
        files=manifest.files,
        commit=commit,
        other_names=other_names(content_key(config), config.anas.name),
    )
