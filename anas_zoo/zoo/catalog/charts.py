"""Pictures of a catalog, drawn by plotly: top-1 over multiply-adds or latency, one for each set of images.

Published accuracy of timm's models stands beside the entries', from baselines.yaml.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from pydantic import Field

from anas_zoo.core.intervals import interval_pct, with_interval
from anas_zoo.core.schema import Schema, parse, read_yaml
from anas_zoo.core.text import one_line
from anas_zoo.zoo.catalog.model import IMAGENET_CLASSES, CatalogModel, data_name

BASELINES = "timm's models, published"
MEASURED = "measured here"
COLOURS = ("#8a52b5", "#0f8a6a", "#b0762a")  # of published series, in turn
STYLES = {MEASURED: ("#1f6fb2", "circle"), BASELINES: ("#c2502f", "square-open")}
MACS_TITLE = "MFLOPs (multiply-adds)"
MOST_NAMED = 20  # models of a series with their names beside them; more would cover one another
HEIGHT_PX = 440


class Conditions(Schema):
    """What latency was measured on, and how."""

    machine: str
    runtime: str
    provider: str
    threads: int = Field(ge=1)
    batch_size: int = Field(ge=1)


class Baseline(Schema):
    """One model: ``top1_pct`` is published; costs and the median latency were measured here."""

    name: str
    weights: str
    resolution: int = Field(ge=1)
    top1_pct: float = Field(ge=0, le=100)
    macs: int = Field(ge=1)
    params: int = Field(ge=1)
    latency_ms: float | None = Field(default=None, gt=0)


class Baselines(Schema):
    """baselines.yaml.

    Attributes:
        dataset: images of the published accuracies.
        source: where they were published.
        measured_on: conditions of every latency.
        models: the baselines.
        architectures: latency in ms of architectures with random weights, by id, for entries without a timed
            file.
    """

    dataset: str
    source: str
    measured_on: Conditions
    models: tuple[Baseline, ...]
    architectures: dict[str, float] = Field(default_factory=dict)


def load_baselines(path: Path | None = None) -> Baselines:
    """The baselines in ``path``; the default is the bundled file.

    Raises :class:`ConfigError` that says what is wrong in the file.
    """
    path = path or Path(__file__).with_name("baselines.yaml")
    return parse(Baselines, read_yaml(path), str(path))


@dataclass(frozen=True)
class _Point:
    name: str
    series: str
    top1_pct: float
    mflops: float
    latency_ms: float | None
    images: int | None = None  # that top-1 was measured on here


def charts(models: Sequence[CatalogModel], baselines: Baselines) -> list[tuple[str, Any]]:
    """Images and their plotly figure, the images of most models first.

    A latency is drawn only if it was measured on the machine on which most of the models were.
    """
    machine = _usual_machine(models, baselines)
    sets: dict[str, list[_Point]] = {}
    for model in models:
        for data, point in _points(model, baselines, machine):
            sets.setdefault(data, []).append(point)
    if baselines.dataset in sets:
        on_machine = baselines.measured_on.machine == machine
        sets[baselines.dataset] += [
            _Point(one.name, BASELINES, one.top1_pct, one.macs / 1e6, one.latency_ms if on_machine else None)
            for one in baselines.models
        ]
    listed = sorted(sets.items(), key=lambda item: -len(item[1]))
    return [(data, _figure(points, machine)) for data, points in listed]


def chart_pages(models: Sequence[CatalogModel], baselines: Baselines) -> list[tuple[str, str]]:
    """Images and the HTML of their chart; the first has plotly.js (4.8 MB) in it, for all of them."""
    return [
        (
            data,
            figure.to_html(
                full_html=False,
                include_plotlyjs=number == 0,
                div_id=f"chart{number}",
                config={"displayModeBar": False, "responsive": True},
                default_height=f"{HEIGHT_PX}px",
            ),
        )
        for number, (data, figure) in enumerate(charts(models, baselines))
    ]


def _usual_machine(models: Sequence[CatalogModel], baselines: Baselines) -> str | None:
    machines = Counter(model.quickest[1].machine for model in models if model.quickest is not None)
    if any(_is_known_architecture(model, baselines) for model in models):
        machines[baselines.measured_on.machine] += 1
    return max(machines, key=lambda machine: machines[machine], default=None)


def _is_known_architecture(model: CatalogModel, baselines: Baselines) -> bool:
    return model.num_classes == IMAGENET_CLASSES and model.id in baselines.architectures


def _latency_ms(model: CatalogModel, baselines: Baselines, machine: str | None) -> float | None:
    if model.quickest is not None:
        return model.quickest[1].p50_ms if model.quickest[1].machine == machine else None
    if baselines.measured_on.machine == machine and _is_known_architecture(model, baselines):
        return baselines.architectures[model.id]  # latency does not depend on the weights
    return None


def _points(model: CatalogModel, baselines: Baselines, machine: str | None) -> list[tuple[str, _Point]]:
    figures: list[tuple[str, str, float, int | None]] = []
    if model.accuracy is not None:
        own = model.accuracy
        figures.append((own.source, MEASURED, own.top1_pct, own.images))
    figures += [
        (one.dataset, f"published, {one.weights or one.source}", one.top1_pct, None)
        for one in model.published
    ]
    latency_ms = _latency_ms(model, baselines, machine)
    return [
        (
            data_name(source, model.num_classes),
            _Point(model.name, series, top1_pct, model.macs / 1e6, latency_ms, images),
        )
        for source, series, top1_pct, images in figures
    ]


def _label(text: str) -> str:
    """Text as plotly.js may show it: it reads some tags and entities."""
    return html.escape(one_line(text), quote=False)


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without a long beginning, up to the last underscore, that at least three of them share."""
    parted = {name: name.rpartition("_") for name in names}
    heads = Counter(head for head, _, _ in parted.values() if len(head) >= 8)
    return {name: tail if heads[head] > 2 else name for name, (head, _, tail) in parted.items()}


def _place(point: _Point, points: Sequence[_Point], series: str, number: int) -> str:
    """Where a name stands beside its mark: within the picture, and apart from the names of other series."""
    side = "left" if point.mflops > 0.7 * max(one.mflops for one in points) else "right"
    if series == BASELINES:
        return f"middle {side}"
    return "top left" if number % 2 else f"bottom {side}"


def _error_bars(points: Sequence[_Point], colour: str) -> dict[str, Any] | None:
    """The 95 % intervals of a series that was measured here; None for figures of others."""
    ends = [interval_pct(p.top1_pct, p.images) for p in points if p.images is not None]
    if len(ends) < len(points):
        return None
    return {
        "array": [high - point.top1_pct for point, (_, high) in zip(points, ends, strict=True)],
        "arrayminus": [point.top1_pct - low for point, (low, _) in zip(points, ends, strict=True)],
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def _figure(points: Sequence[_Point], machine: str | None) -> Any:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    short = _short_names([point.name for point in points])
    mflops, latency_ms = [], []
    published = ((colour, "circle-open") for colour in cycle(COLOURS))
    for number, series in enumerate(dict.fromkeys(point.series for point in points)):
        own = [point for point in points if point.series == series]
        colour, symbol = STYLES.get(series) or next(published)
        mflops.append([point.mflops for point in own])
        latency_ms.append([point.latency_ms for point in own])
        says = [
            f"<b>{_label(point.name)}</b><br>"
            f"top-1 {with_interval(point.top1_pct, point.images)}, {_label(series)}"
            f"<br>{point.mflops:,.4g} MFLOPs"
            + ("" if point.latency_ms is None else f", {point.latency_ms:.3g} ms")
            for point in own
        ]
        figure.add_scatter(
            x=mflops[-1],
            y=[point.top1_pct for point in own],
            error_y=_error_bars(own, colour),
            name=_label(series),
            mode="markers+text" if len(own) <= MOST_NAMED else "markers",
            text=[_label(short[point.name]) for point in own],
            hovertext=says,
            hoverinfo="text",
            textposition=[_place(point, points, series, number) for point in own],
            textfont={"color": colour, "size": 11},
            marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2}},
            cliponaxis=False,
        )
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "color": "#7a8794"},
        margin={"l": 50, "r": 20, "t": 50, "b": 50},
        legend={"orientation": "h", "y": -0.24},
        showlegend=True,
    )
    figure.update_xaxes(title_text=MACS_TITLE, gridcolor="rgba(128,140,150,0.25)", zeroline=False)
    figure.update_yaxes(title_text="top-1, %", gridcolor="rgba(128,140,150,0.25)", zeroline=False)
    if any(one is not None for series in latency_ms for one in series):
        title = f"ms for one image, one thread (median), {_label(machine or '')}"
        buttons = [
            {
                "label": "multiply-adds",
                "method": "update",
                "args": [{"x": mflops}, {"xaxis.title.text": MACS_TITLE}],
            },
            {
                "label": "latency",
                "method": "update",
                "args": [{"x": latency_ms}, {"xaxis.title.text": title}],
            },
        ]
        figure.update_layout(
            updatemenus=[
                {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "xanchor": "left",
                 "y": 1.02, "yanchor": "bottom", "pad": {"t": 0, "b": 4}}
            ]
        )  # fmt: skip
    return figure
