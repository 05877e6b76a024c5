"""index.html: a catalog as a page in one file, with a table, charts and a card for every model.

The page needs no network and may use none: a policy in its head forbids the browser any connection. Texts of
entries are escaped by the template, and by charts.py in what plotly writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from anas_zoo.core.files import atomic_write
from anas_zoo.core.intervals import with_interval
from anas_zoo.core.pages import render_page
from anas_zoo.core.text import quoted
from anas_zoo.entry.licence import import_way
from anas_zoo.zoo.catalog.charts import Baselines, chart_pages, load_baselines
from anas_zoo.zoo.catalog.heat_map import HeatMap, heat_map
from anas_zoo.zoo.catalog.index import Index
from anas_zoo.zoo.catalog.model import CatalogModel
from anas_zoo.zoo.evidence_tables import Table, class_tables
from anas_zoo.zoo.predict import default_file
from anas_zoo.zoo.shelf import list_models

PAGE = "index.html"
HUB = "hf://"
COLUMNS = (
    "model",
    "top-1 %",
    "",
    "MFLOPs",
    "ms",
    "params (M)",
    "px",
    "classes",
    "weights",
    "licence",
    "top-1 on",
)

Pairs = list[tuple[str, str]]


def write_gallery(
    path: Path,
    index: Index,
    *,
    baselines: Baselines | None = None,
    try_it: Mapping[str, str] | None = None,
) -> None:
    """Write the page of ``index``. The same arguments give the same bytes, for one version of plotly.

    Args:
        path: the file, about 5 MB with plotly.js.
        index: what it shows.
        baselines: published points of other models; default is :func:`load_baselines`.
        try_it: for a model's location the relative address of the web client that runs it.
    """
    from markupsafe import Markup

    baselines = load_baselines() if baselines is None else baselines
    page = render_page(
        Path(__file__).with_suffix(".html"),
        index=index,
        baselines=baselines,
        try_it=try_it or {},
        columns=COLUMNS,
        charts=[(data, Markup(chart)) for data, chart in chart_pages(index.models, baselines)],
        newline=Markup("\n"),
        cells=_cells,
        words=_words,
        facts=_facts,
        loading=lambda model: _loading(model, index.source),
        exported=_exported,
        by_class=_by_class,
        files=lambda model: [(name, f"{one.bytes:,}", one.sha256) for name, one in model.files.items()],
    )
    atomic_write(path, page)


def _cells(model: CatalogModel) -> list[tuple[str | int | float | None, str]]:
    """Value, by which the table is sorted, and text of all columns but the first; None if unknown."""
    latency_ms = None if model.quickest is None else model.quickest[1].p50_ms
    weights = "yes" if model.has_weights else "no"
    return [
        (
            model.top1_pct,
            "–" if model.top1_pct is None else with_interval(model.top1_pct, model.top1_images, unit=""),
        ),
        (model.top1_kind, model.top1_kind or "–"),
        (model.macs, f"{model.macs / 1e6:,.2f}"),
        (latency_ms, "–" if latency_ms is None else f"{latency_ms:.3g}"),
        (model.params, f"{model.params / 1e6:,.3f}"),
        (model.resolution, str(model.resolution)),
        (model.num_classes, f"{model.num_classes:,}"),
        (weights, weights),
        (model.licence, model.licence or "–"),
        (model.data, model.data or "–"),
    ]


def _words(model: CatalogModel) -> str:
    """What the filter looks through."""
    words = [model.name, model.location, *model.other_names, model.id, model.space, model.licence or ""]
    words += [model.data or "", model.top1_kind or ""]
    words += [word for file in model.exported for word in (file.name, file.target, file.precision)]
    return " ".join(words).lower()


def _facts(model: CatalogModel) -> Pairs:
    rows = []
    for one in [*([model.accuracy] if model.accuracy else []), *model.further_accuracy]:
        top5 = "" if one.top5_pct is None else f", top-5 {one.top5_pct:.2f} %"
        where = f"{one.images:,} images of {one.source} ({one.split}), preprocessing {one.preprocessing}"
        rows.append(("top-1, measured here", f"{one.top1}{top5} on {where}"))
        if one.ece_pct is not None:
            rows.append(("calibration error", f"{one.ece_pct:.2f} %, expected, over 15 bins of confidence"))
    for figure in model.published:
        origin = f"weights of {figure.weights}, {figure.source}" if figure.weights else figure.source
        rows.append(
            ("top-1, published, not measured here", f"{figure.top1_pct:g} % on {figure.dataset}, {origin}")
        )
    rows += [
        ("multiply-adds", f"{model.macs:,} at {model.resolution} × {model.resolution} pixels"),
        ("parameters", f"{model.params:,}"),
        ("architecture", model.network),
        ("the same architecture", ", ".join(model.other_names)),
        ("licence", model.licence or "not stated"),
        ("weights", model.source or ""),
        ("commit", model.commit or ""),
    ]
    for file in model.exported:
        for time in file.latency:
            on = f"{time.threads} thread{'s' if time.threads > 1 else ''}, batch {time.batch_size}"
            rows.append(
                (
                    f"latency of {file.name}",
                    f"{time.p50_ms:.3g} ms median, {time.p95_ms:.3g} ms p95; {on}, {time.runtime}, "
                    f"{time.machine}",
                )
            )
    return [(what, value) for what, value in rows if value]


def _by_class(model: CatalogModel) -> tuple[HeatMap | None, dict[str, Table]]:
    """The confusion matrix as a picture, and as a table where it has too many classes; and top-1 by class."""
    if model.accuracy is None:
        return None, {}
    labels = model.label_names or None
    drawn, tables = heat_map(model.accuracy, labels), class_tables(model.accuracy, labels)
    return drawn, dict(list(tables.items())[:1]) if drawn else tables


def _exported(model: CatalogModel) -> list[tuple[str, ...]]:
    return [
        (
            file.name,
            file.target,
            file.precision,
            file.input,
            "–" if file.top1_pct is None else f"{file.top1_pct:.2f}",
            file.not_run_here or "yes",
        )
        for file in model.exported
    ]


def _loading(model: CatalogModel, source: str) -> list[tuple[str, list[str]]]:
    """Ways to load the model: what each is for, and its lines."""
    address = f"./{source}/{model.location}" if model.location != source else f"./{source}"
    if source.startswith(HUB):
        address = f"hf-hub:{model.location}" + (f"@{model.commit}" if model.commit else "")
    command = address.removeprefix("./").replace("hf-hub:", HUB)
    ways = []
    if not model.has_weights:
        if model.name in list_models():
            lines = ["import anas_zoo, timm", f"model = timm.create_model({json.dumps(model.name)})"]
            ways.append(("The network without weights", lines))
        way = import_way(model.name, model.space)
        return [*ways, (f"With the authors' weights, from {way.give}", [way.command])]
    lines = ["import anas_zoo", f"model = anas_zoo.create_model({json.dumps(address)}, pretrained=True)"]
    ways.append(("Python, with torch and timm", lines))
    if source.startswith(HUB):
        folder = f"./{model.name}"
        ways.append(("Download and check", [f"anas pull {quoted(command)} --out {quoted(folder)}"]))
        command = folder
    elif model.exported:
        file = json.dumps(f"{command}/{default_file(one.name for one in model.exported)}")
        lines = ["import onnxruntime", f"session = onnxruntime.InferenceSession({file})"]
        ways.append(("Python, with onnxruntime alone", lines))
    if model.exported:
        ways.append(("Classify images", [f"anas predict {quoted(command)} IMAGE..."]))
        ways.append(("Try it in the browser", [f"anas serve {quoted(command)}"]))
    return ways
