"""The interactive figure of a search, as the JSON that plotly.js draws."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from anas_zoo.pipeline.search_view.traces import BUDGET, Trace, label_text, traces_of
from anas_zoo.pipeline.search_view.view import SearchView, plain, wants_log
from anas_zoo.searching.objectives import OBJECTIVES

__all__ = ["figure_of"]


def figure_of(view: SearchView) -> dict[str, Any]:
    """``{"data": ..., "layout": ...}``: the traces over the first cost, and buttons for the others."""
    costs = view.known_costs
    traces = traces_of(view)
    first = costs[0]
    data = [trace.style | {"x": trace.xs[first], "visible": trace.only in (None, first)} for trace in traces]
    return {"data": data, "layout": _layout(view, costs, traces)}


def _layout(view: SearchView, costs: Sequence[str], traces: Sequence[Trace]) -> dict[str, Any]:
    first = costs[0]
    scored_by = label_text(textwrap.shorten(plain(view.scored_by), 70, placeholder="…"))
    log = wants_log(view.costs_shown(first))
    buttons = [
        {
            "label": OBJECTIVES[cost].short,
            "method": "update",
            "args": [
                {
                    "x": [trace.xs[cost] for trace in traces],
                    "visible": [trace.only in (None, cost) for trace in traces],
                },
                {
                    "xaxis.title.text": OBJECTIVES[cost].title,
                    "xaxis.autorange": True,
                    "shapes": _budgets(view, cost),
                },
            ],
        }
        for cost in costs
    ]
    scales = [
        {"label": kind, "method": "relayout", "args": [{"xaxis.type": kind, "xaxis.autorange": True}]}
        for kind in ("log", "linear")
    ]
    row = {"type": "buttons", "direction": "right", "yanchor": "bottom", "y": 1.02, "pad": {"b": 4}}
    return {
        "xaxis": {
            "title": {"text": OBJECTIVES[first].title},
            "type": "log" if log else "linear",
            "minorloglabels": "complete",  # 200, 300, 500: not 2, 3, 5 in small digits
            "exponentformat": "none",
            "tickfont": {"size": 13},
            "gridcolor": "#e4e8ec",
        },
        "yaxis": {
            "title": {"text": f"top-1 (%), {scored_by}"},
            "range": list(view.top1_range()),
            "gridcolor": "#e4e8ec",
        },
        "shapes": _budgets(view, first),
        "updatemenus": [
            row | {"x": 0, "xanchor": "left", "buttons": buttons},
            row | {"x": 1, "xanchor": "right", "buttons": scales, "active": 0 if log else 1},
        ],
        "legend": {"orientation": "h", "y": -0.14, "x": 0, "yanchor": "top"},
        "margin": {"l": 70, "r": 20, "t": 84, "b": 60},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": "white"},
        "plot_bgcolor": "white",
    }


def _budgets(view: SearchView, cost: str) -> list[dict[str, Any]]:
    """A dotted line at each budget asked for in this cost."""
    return [
        {
            "type": "line",
            "x0": answer.limit / OBJECTIVES[cost].per_shown,
            "x1": answer.limit / OBJECTIVES[cost].per_shown,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"dash": "dot", "width": 1.5, "color": BUDGET},
            "label": {
                "text": f"≤ {OBJECTIVES[cost].shown(answer.limit)}",
                "textposition": "start",
                "textangle": -90,
                "xanchor": "left",
                "yanchor": "top",
                "padding": 4,
                "font": {"color": BUDGET},
            },
        }
        for answer in view.budgets_in_sight(cost)
    ]
