"""index.html: a catalog as a page in one file, which needs no network and no program but a browser.

Cards are HTML made here, and can be read without JavaScript; the two pictures are drawn in the browser, at
the width that there is. Everything from entries is text or inert JSON, and a policy in the page's head lets
the browser run nothing but the page's own scripts and fetch nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anas_zoo.core.files import atomic_write
from anas_zoo.zoo.catalog.index import Index
from anas_zoo.zoo.catalog.markup import inert_json, policy, text
from anas_zoo.zoo.catalog.model import CatalogModel, data_name
from anas_zoo.zoo.catalog.model_card import card
from anas_zoo.zoo.catalog.rivals import Rivals, load_rivals

__all__ = ["PAGE", "write_gallery"]

PAGE = "index.html"
HERE = Path(__file__).parent / "page"
IMAGENET_CLASSES = 1000  # of the classifiers in rivals.yaml


def write_gallery(
    path: Path, index: Index, *, rivals: Rivals | None = None, try_it: Mapping[str, str] | None = None
) -> None:
    """Write the page of ``index``. The same arguments give the same bytes.

    Args:
        path: the file.
        index: what it shows.
        rivals: published points of other models; default is :func:`load_rivals`.
        try_it: for a model's location the relative address of the web client that runs it.
    """
    rivals = load_rivals() if rivals is None else rivals
    template, style = _part("page.html"), _part("page.css")
    scripts = {"chart": _part("chart.js"), "script": _part("page.js")}
    cards = [
        card(model, source=index.source, place=place, try_it=(try_it or {}).get(model.location))
        for place, model in enumerate(index.models)
    ]
    parts = {
        "policy": policy(scripts=scripts.values(), styles=[style]),
        "style": style,
        "title": text(f"Models: {index.source}"),
        "summary": text(_summary(index)),
        "source": text(rivals.source),
        "left_out": _left_out(index),
        "cards": "\n".join(cards),
        "json": inert_json(
            {"models": [_points(model, rivals) for model in index.models], "rivals": _rivals(rivals)}
        ),
        **scripts,
    }
    # In one pass: what is filled in is not looked through for further fields.
    atomic_write(path, re.sub(r"\{\{(\w+)\}\}", lambda field: parts[field[1]], template))


def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _summary(index: Index) -> str:
    count, weighty = len(index.models), sum(model.has_weights for model in index.models)
    measured = sum(model.accuracy is not None for model in index.models)
    noun = "model" if count == 1 else "models"
    return f"{index.source}: {count} {noun}, {weighty} with weights, {measured} with measured accuracy"


def _left_out(index: Index) -> str:
    if not index.left_out:
        return ""
    items = "".join(f"<li><b>{text(name)}</b>: {text(why)}</li>" for name, why in index.left_out.items())
    return f"<section><h2>Left out</h2><p>Entries that cannot be used:</p><ul>{items}</ul></section>"


def _points(model: CatalogModel, rivals: Rivals) -> dict[str, Any]:
    """What the pictures and the filter know of a model."""
    figures = []
    if model.accuracy is not None:
        data = data_name(model.accuracy.source, model.num_classes)
        figures.append(
            {"data": data, "series": "measured here", "measured": True, "top1": model.accuracy.top1_pct}
        )
    for one in model.published:
        series = f"published, {one.weights or one.source}"
        data = data_name(one.dataset, model.num_classes)
        figures.append({"data": data, "series": series, "measured": False, "top1": one.top1_pct})
    words = [model.name, model.location, *model.other_names, model.id, model.space, model.licence or ""]
    words += [word for file in model.exported for word in (file.name, file.target, file.precision)]
    return {
        "name": model.name,
        "weights": model.has_weights,
        "mflops": model.macs / 1e6,
        "figures": figures,
        "latency": _own_latency(model) or _latency_of_architecture(model, rivals),
        "words": " ".join(words).lower(),
    }


def _own_latency(model: CatalogModel) -> list[dict[str, Any]]:
    return [
        {"on": _conditions(one.machine, one.threads), "ms": one.p50_ms, "file": file.name}
        for file in model.exported
        for one in file.latency
        if one.batch_size == 1
    ]


def _latency_of_architecture(model: CatalogModel, rivals: Rivals) -> list[dict[str, Any]]:
    """What was measured of the same architecture with random weights, which latency does not depend on."""
    if model.num_classes != IMAGENET_CLASSES:
        return []
    return [
        {"on": _conditions(one.machine, one.threads), "ms": one.p50_ms, "file": "random weights"}
        for one in rivals.architectures.get(model.id, ())
        if one.batch_size == 1
    ]


def _conditions(machine: str, threads: int) -> str:
    return f"{machine}, {threads} thread{'s' if threads > 1 else ''}"


def _rivals(rivals: Rivals) -> list[dict[str, Any]]:
    return [
        {
            "name": rival.name,
            "data": rivals.dataset,
            "top1": rival.top1_pct,
            "mflops": rival.macs / 1e6,
            "about": f"{rival.weights}, {rival.resolution} px",
            "latency": [
                {"on": _conditions(one.machine, one.threads), "ms": one.p50_ms}
                for one in rival.latency
                if one.batch_size == 1
            ],
        }
        for rival in rivals.models
    ]
