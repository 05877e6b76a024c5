"""The web client beside a catalog's page, with the models that it can run: all static files."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

from anas_zoo.core.files import disk_errors
from anas_zoo.zoo.catalog.collecting import entries_in
from anas_zoo.zoo.catalog.index import Index
from anas_zoo.zoo.serving.routes import page_routes

__all__ = ["copy_client"]

ENTRY, ENTRIES = "/entry/", "/entries/"


def copy_client(source: Path, index: Index, out: Path) -> dict[str, str]:
    """Copy the client, onnxruntime-web (14 MB) and each model with an exported file into ``out``.

    Returns the relative address at which each of them is to be tried, by its location. Raises
    :class:`EntryError` for a model that the client cannot run, and
    :class:`ServeError` when onnxruntime-web cannot be had.
    """
    runnable = {model.location for model in index.models if model.has_weights and model.exported}
    addresses = {}
    for folder in entries_in(source):
        name = folder.resolve().name
        if name not in runnable:
            continue
        for address, path in page_routes(folder).files.items():
            place = address.replace(ENTRY, f"{ENTRIES}{name}/", 1)
            target = out / (f"{place}index.html" if place.endswith("/") else place).lstrip("/")
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    shutil.copyfile(path, target)
        addresses[name] = f"web/index.html?entry={quote(name, safe='')}"
    return addresses
