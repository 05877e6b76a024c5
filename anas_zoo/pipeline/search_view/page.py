"""The page of a search: one HTML file that shows every evaluation, and needs nothing beside it.

It holds all of plotly.js (about 4.8 MB), so that it opens anywhere, without a network and for years; a policy
in its head forbids the browser any connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from anas_zoo.core.files import atomic_write
from anas_zoo.core.hints import as_command_line
from anas_zoo.core.pages import render_page
from anas_zoo.pipeline.search_view.view import (
    BASELINE,
    BUDGET,
    FRONT,
    SearchView,
    short_name,
    shown,
    wants_log,
)
from anas_zoo.searching import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


MANY = 2000  # above this WebGL draws all: SVG would take seconds at each zoom
EARLY_TO_LATE = [[0, "#d3dae1"], [0.5, "#e3bf8a"], [1, "#d47b22"]]


def write_page(path: Path, view: SearchView) -> None:
    """Write the page. The same view gives the same bytes, for one version of plotly."""
    figure = figure_of(view).to_html(
        full_html=False, div_id="plot", default_height="640px", config={"displaylogo": False}
    )
    columns = [OBJECTIVES[name].short for name in ("top1_pct", *view.known_costs)]
    text = render_page(
        Path(__file__).with_suffix(".html"),
        view=view,
        figure=Markup(figure),
        objectives=" and ".join(OBJECTIVES[name].title for name in view.objectives),
        columns=columns,
        answers=[_answer(view, number) for number in range(len(view.answers))],
        front=[[e.arch.id, *_numbers(view, e), _command(view, e)] for e in view.front],
        baselines=[
            [
                baseline.name,
                baseline.evaluation.arch.id,
                *_numbers(view, baseline.evaluation),
                ", ".join(f"{pct:g} ({weights})" for weights, pct in baseline.published.items()),
            ]
            for baseline in view.baselines
        ],
    )
    atomic_write(path, text)


def _answer(view: SearchView, number: int) -> list[str]:
    answer = view.answers[number]
    if answer.best is None:
        return [answer.asked(), "nothing evaluated is within it", *[""] * (len(view.known_costs) + 2)]
    asked = answer.asked() + (", which is within its bars: measure it" if answer.unsure else "")
    return [asked, answer.best.arch.id, *_numbers(view, answer.best), _command(view, answer.best)]


def _numbers(view: SearchView, evaluation: Evaluation) -> list[str]:
    """Accuracy and costs for people; a dash where one is not known."""
    costs = ["–" if shown(evaluation, cost) is None else evaluation.shown(cost) for cost in view.known_costs]
    return [evaluation.accuracy, *costs]


def _command(view: SearchView, evaluation: Evaluation) -> str:
    return "" if view.extract is None else as_command_line([view.extract(evaluation.arch.id)])


@dataclass(frozen=True)
class _Layer:
    """One trace of the figure: points, what each says first when pointed at, and how it looks.

    Attributes:
        only: the one cost over which it is shown; None for all.
    """

    points: Sequence[Evaluation]
    notes: Sequence[str] = ()
    style: dict[str, Any] = field(default_factory=dict)
    only: str | None = None

    def xs(self, cost: str) -> list[float | None]:
        return [shown(e, cost) for e in self.points]


def figure_of(view: SearchView) -> Figure:
    """All of a search over one cost, and buttons for the other costs."""
    from plotly import graph_objects as go

    costs = view.known_costs
    first = costs[0]
    layers = [layer for layer in _layers(view) if layer.points]
    # All by WebGL or none: its drawings lie above all of SVG's.
    scatter = go.Scattergl if len(view.evaluations) > MANY else go.Scatter
    figure = go.Figure(
        [
            scatter(
                x=layer.xs(first),
                y=[e.top1_pct for e in layer.points],
                visible=layer.only in (None, first),
                hoverinfo="text" if layer.notes else "skip",
                hovertext=[
                    _hover(view, e, note)
                    for e, note in zip(layer.points, layer.notes, strict=bool(layer.notes))
                ],
                **layer.style,
            )
            for layer in layers
        ]
    )
    buttons = [
        {
            "label": OBJECTIVES[cost].short,
            "method": "update",
            "args": [
                {
                    "x": [layer.xs(cost) for layer in layers],
                    "visible": [layer.only in (None, cost) for layer in layers],
                },
                _over(view, cost),
            ],
        }
        for cost in costs
    ]
    figure.update_layout(_over(view, first))
    figure.update_layout(
        template="plotly_white",
        xaxis={"minorloglabels": "complete", "exponentformat": "none"},  # 200, 300, 500 of a log scale
        yaxis={"title": "top-1 (%)", "range": view.top1_range()},
        updatemenus=[{"type": "buttons", "direction": "right", "x": 0, "y": 1.02, "xanchor": "left"}],
        legend={"orientation": "h", "y": -0.14, "x": 0, "yanchor": "top"},
        margin={"l": 70, "r": 20, "t": 60, "b": 60},
        hoverlabel={"align": "left", "bgcolor": "white"},
    )
    figure.layout.updatemenus[0].update(buttons=buttons, yanchor="bottom")
    return figure


def _over(view: SearchView, cost: str) -> dict[str, Any]:
    """What of the layout belongs to one cost: its axis, and a dotted line at each budget asked for in it."""
    lines = [
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
                "textposition": "end",
                "textangle": 0,
                "yanchor": "top",
                "xanchor": "left",
                "font": {"color": BUDGET},
            },
        }
        for answer in view.budgets_in_sight(cost)
    ]
    scale = "log" if wants_log(view.costs_shown(cost)) else "linear"
    return {
        "xaxis.title.text": OBJECTIVES[cost].title,
        "xaxis.type": scale,
        "xaxis.autorange": True,
        "shapes": lines,
    }


def _layers(view: SearchView) -> list[_Layer]:
    """Every evaluation, the front, the answers and the published models; from the lowest to the uppermost."""
    rounds = [e.round for e in view.evaluations]
    evaluated: dict[str, Any] = {"size": 5 if len(rounds) > MANY else 7, "color": EARLY_TO_LATE[1][1]}
    if len(set(rounds)) > 1:
        step = max(1, (max(rounds) - min(rounds)) // 5)
        bar = {"title": {"text": "round"}, "thickness": 12, "dtick": step}
        evaluated |= {"color": rounds, "colorscale": EARLY_TO_LATE, "colorbar": bar}
    answers = [(answer.asked(), answer.best) for answer in view.answers if answer.best is not None]
    line = {"shape": "hv", "color": FRONT, "width": 2}
    white = {"width": 1, "color": "white"}
    return [
        _Layer(
            view.evaluations,
            [_round(e) for e in view.evaluations],
            {"name": "evaluated", "mode": "markers", "marker": evaluated},
        ),
        *(
            _Layer(view.steps(cost), style={"mode": "lines", "line": line, "showlegend": False}, only=cost)
            for cost in view.cost_objectives
        ),
        _Layer(
            view.front,
            [f"on the Pareto front; {_round(e)}" for e in view.front],
            {
                "name": "Pareto front",
                "mode": "markers",
                "marker": {"size": 8, "color": FRONT, "line": white},
            },
        ),
        _Layer(
            [best for _, best in answers],
            [f"the best with {asked}; {_round(best)}" for asked, best in answers],
            {
                "name": "best within a budget",
                "mode": "markers",
                "marker": {
                    "size": 15,
                    "symbol": "circle-open",
                    "color": BUDGET,
                    "line": {"width": 2.5, "color": BUDGET},
                },
            },
        ),
        _Layer(
            [baseline.evaluation for baseline in view.baselines],
            [f"<b>{escape(baseline.name)}</b>" for baseline in view.baselines],
            {
                "name": "published models, scored alike",
                "mode": "markers+text",
                "text": [str(escape(short_name(baseline.name))) for baseline in view.baselines],
                "textposition": [
                    "top left" if number % 2 else "bottom right" for number in range(len(view.baselines))
                ],
                "marker": {"size": 11, "symbol": "diamond", "color": BASELINE, "line": white},
            },
        ),
    ]


def _round(evaluation: Evaluation) -> str:
    measured = f"measured on {evaluation.images} images" if evaluation.images else "predicted"
    return f"round {evaluation.round}, {measured}"


def _hover(view: SearchView, evaluation: Evaluation, note: str) -> str:
    """What a point says: its architecture, costs, accuracy, and the command that extracts it."""
    arch = evaluation.arch.to_dict()
    lines = [note, f"architecture <b>{evaluation.arch.id}</b>, input {arch.pop('resolution')}²"]
    lines += [f"{name.replace('_', ' ')} {values}" for name, values in arch.items()]
    known = [cost for cost in view.known_costs if shown(evaluation, cost) is not None]
    lines += [f"{OBJECTIVES[cost].title}: {evaluation.shown(cost)}" for cost in known]
    lines.append(f"top-1 (%): <b>{evaluation.accuracy}</b>")
    if view.extract is not None:
        lines.append(str(escape(_command(view, evaluation))))
    return "<br>".join(lines)
