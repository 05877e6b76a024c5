"""What is drawn of a search on its page: the traces of plotly.js, with what each point says on hover."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anas_zoo.pipeline.search_view.view import SearchView, plain, short_name, shown
from anas_zoo.searching import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES

__all__ = ["BUDGET", "Trace", "label_text", "traces_of"]

# Above this WebGL draws all: SVG would take seconds at each zoom. Where there is none the page uses SVG.
MANY = 2000
FRONT, BUDGET, KNOWN, TESTED = "#1f5a8c", "#3a7d44", "#7d4a9c", "#c8492b"
EARLY_TO_LATE = [[0, "#d3dae1"], [0.5, "#e3bf8a"], [1, "#d47b22"]]


@dataclass(frozen=True)
class Trace:
    """A trace of plotly, whose places on the x axis depend on the cost chosen.

    Attributes:
        style: all of the trace but ``x``.
        xs: by cost.
        only: the one cost at which it is shown; None for all.
    """

    style: dict[str, Any]
    xs: Mapping[str, Sequence[float | None]]
    only: str | None = None


def traces_of(view: SearchView) -> list[Trace]:
    """Every evaluation, the front, the answers and what is known beside; from the lowest to the uppermost.

    ``customdata`` of a point holds what is shown on hover: id, resolution, widths, depths, kernel sizes,
    expand ratios, a note, and each known cost in the unit that is shown. Published entries have none.
    """
    costs = view.known_costs
    traces = [
        _evaluations(view, costs),
        *(_steps(view, costs, cost) for cost in view.cost_objectives),
        _front(view, costs),
        _answers(view, costs),
        _references(view, costs),
        _tested(view, costs),
    ]
    # All by WebGL or none: its drawings lie above all of SVG's.
    kind = "scattergl" if len(view.evaluations) > MANY else "scatter"
    return [Trace({"type": kind} | trace.style, trace.xs, trace.only) for trace in traces if trace.style["y"]]


def label_text(text: str) -> str:
    """A text from outside as plotly.js may show it: plotly reads some tags and entities."""
    return html.escape(plain(text), quote=False)


def _xs(evaluations: Sequence[Evaluation], costs: Sequence[str]) -> dict[str, list[float | None]]:
    return {cost: [shown(e, cost) for e in evaluations] for cost in costs}


def _scored(
    evaluations: Sequence[Evaluation], notes: Sequence[str], costs: Sequence[str], style: dict[str, Any]
) -> Trace:
    """A trace of evaluations, each with its architecture and costs on hover."""
    xs = _xs(evaluations, costs)
    columns = [xs[cost] for cost in costs]
    points = [
        [e.arch.id, *e.arch.to_dict().values(), note + _bar(e), *(column[place] for column in columns)]
        for place, (e, note) in enumerate(zip(evaluations, notes, strict=True))
    ]
    lists = ["width", "depth", "kernel size", "expand ratio"]
    lines = ["%{customdata[6]}", "architecture <b>%{customdata[0]}</b>, input %{customdata[1]}²"]
    lines += [f"{name} %{{customdata[{place}]}}" for place, name in enumerate(lists, 2)]
    lines += [
        f"{OBJECTIVES[cost].title}: %{{customdata[{place}]:.5~r}}"
        for place, cost in enumerate(costs, 7)
        if any(value is not None for value in xs[cost])
    ]
    lines.append(f"{OBJECTIVES['top1_pct'].title}: <b>%{{y:.2f}}</b><extra></extra>")
    defaults = {
        "mode": "markers",
        "y": [e.top1_pct for e in evaluations],
        "customdata": points,
        "hovertemplate": "<br>".join(lines),
    }
    return Trace(defaults | style, xs)


def _bar(evaluation: Evaluation) -> str:
    """Where an uncertain latency lies, in words."""
    low, high = evaluation.bar("latency_ms")
    return f"; latency {low:.3g} to {high:.3g} ms by its bars" if low < high else ""


def _round(evaluation: Evaluation) -> str:
    measured = f"measured on {evaluation.images} images" if evaluation.images else "predicted"
    return f"round {evaluation.round}, {measured}"


def _evaluations(view: SearchView, costs: Sequence[str]) -> Trace:
    items = view.evaluations
    marker: dict[str, Any] = {"size": 5 if len(items) > MANY else 7, "color": EARLY_TO_LATE[1][1]}
    rounds = [e.round for e in items]
    if len(set(rounds)) > 1:
        bar = {"title": {"text": "round"}, "thickness": 12, "len": 0.8, "tickformat": "d"}
        if max(rounds) - min(rounds) < 10:
            bar["dtick"] = 1
        marker |= {"color": rounds, "colorscale": EARLY_TO_LATE, "colorbar": bar}
    return _scored(items, [_round(e) for e in items], costs, {"name": "evaluated", "marker": marker})


def _steps(view: SearchView, costs: Sequence[str], cost: str) -> Trace:
    """The line of the best so far over one cost: true only of that cost, and shown only with it."""
    line = view.steps(cost)
    style = {
        "mode": "lines",
        "y": [e.top1_pct for e in line],
        "line": {"shape": "hv", "color": FRONT, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return Trace(style, _xs(line, costs), only=cost)


def _front(view: SearchView, costs: Sequence[str]) -> Trace:
    marker = {"size": 8, "color": FRONT, "line": {"width": 1, "color": "white"}}
    notes = [f"on the Pareto front; {_round(e)}" for e in view.front]
    return _scored(view.front, notes, costs, {"name": "Pareto front", "marker": marker})


def _answers(view: SearchView, costs: Sequence[str]) -> Trace:
    found = [(answer.asked(), answer.best) for answer in view.answers if answer.best is not None]
    marker = {"size": 15, "symbol": "circle-open", "color": BUDGET, "line": {"width": 2.5}}
    notes = [f"the best with {asked}; {_round(best)}" for asked, best in found]
    style = {"name": "best within a budget", "marker": marker}
    return _scored([best for _, best in found], notes, costs, style)


def _references(view: SearchView, costs: Sequence[str]) -> Trace:
    notes = []
    for reference in view.references:
        figures = [
            f"{pct:g} % by {label_text(weights)}'s weights" for weights, pct in reference.published.items()
        ]
        published = f"published, not measured here: {', '.join(figures)}" if figures else "nothing published"
        notes.append(f"<b>{label_text(reference.name)}</b><br>{published}")
    style = {
        "name": "known models, scored alike",
        "mode": "markers+text",
        "text": [label_text(short_name(reference.name)) for reference in view.references],
        "textposition": _places([reference.evaluation.value(costs[0]) for reference in view.references]),
        "textfont": {"color": "#3d1a54", "size": 13},
        "marker": {"size": 11, "symbol": "diamond", "color": KNOWN, "line": {"width": 1, "color": "white"}},
    }
    return _scored([reference.evaluation for reference in view.references], notes, costs, style)


def _tested(view: SearchView, costs: Sequence[str]) -> Trace:
    names = [label_text(name) for name in view.tested]
    found = [values for values, _ in view.tested.values()]
    xs = {
        cost: [values[cost] / OBJECTIVES[cost].per_shown if cost in values else None for values in found]
        for cost in costs
    }
    style = {
        "name": "published entries, on the test split",
        "mode": "markers+text",
        "y": [top1_pct for _, top1_pct in view.tested.values()],
        "text": names,
        "textposition": _places([x or 0.0 for x in xs[costs[0]]]),
        "textfont": {"color": "#7a2412", "size": 13},
        "marker": {"size": 14, "symbol": "star", "color": TESTED, "line": {"width": 1, "color": "white"}},
        "hovertemplate": "<b>%{text}</b><br>top-1 (%) on the test split: %{y:.2f}<extra></extra>",
    }
    return Trace(style, xs)


def _places(costs: Sequence[float]) -> list[str]:
    """Where names stand: neighbours in cost on different sides, so that they do not cover each other."""
    order = sorted(range(len(costs)), key=lambda place: costs[place])
    ranks = {place: rank for rank, place in enumerate(order)}
    return ["bottom right" if ranks[place] % 2 == 0 else "top left" for place in range(len(costs))]
