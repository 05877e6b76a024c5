"""The picture of a search: every evaluation, the front, the budgets, and published models beside them."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anas_zoo.core.files import atomic_write
from anas_zoo.core.intervals import interval_pct, with_interval
from anas_zoo.pipeline.search_view.view import (
    BASELINE,
    BUDGET,
    EVALUATED,
    FRONT,
    TESTED,
    SearchView,
    short_name,
    shown,
    wants_log,
)
from anas_zoo.searching import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation


MAX_PANELS = 3
NAMED_ROOM = 0.07  # of the height
# Where a name may be beside its mark: the point from which it extends, and its sides there. The first free
# place is taken.
PLACES = [
    {"position": (6 * right, 3 * up), "ha": ha, "va": va}
    for up, va in ((1, "top"), (1.5, "bottom"))
    for right, ha in ((1, "left"), (-1, "right"))
]


def draw_picture(path: Path, view: SearchView) -> None:
    """Write a PNG with top-1 over each cost that was weighed or asked for, the first three of them.

    The same view gives the same bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    costs = view.asked_costs[:MAX_PANELS]
    width = 8.0 if len(costs) == 1 else 5.2 * len(costs)
    figure = Figure(figsize=(width, 5.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = list(figure.subplots(1, len(costs), sharey=True, squeeze=False)[0])
    named = [_draw_panel(axes, view, cost) for axes, cost in zip(panels, costs, strict=True)]
    scored_by = "\n".join(textwrap.wrap(view.scored_by, 60))
    panels[0].set_ylabel(f"top-1 (%)\n{scored_by}", parse_math=False)
    low, high = view.top1_range()
    room = NAMED_ROOM * (high - low) if view.tested or view.compared else 0.0  # for names above marks
    panels[0].set_ylim(low, high + room)
    figure.suptitle(textwrap.fill(view.title, int(width * 10)), fontsize=12, parse_math=False)
    _add_legend(figure, panels)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes; that is nothing to warn users of.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.draw_without_rendering()  # what lies where is known then
        for axes, names in zip(panels, named, strict=True):
            _place(axes, names)
        figure.savefig(content, format="png", metadata={"Software": None})
    atomic_write(path, content.getvalue())


def _draw_panel(axes: Axes, view: SearchView, cost: str) -> list[Annotation]:
    """Draw everything over one cost. Returns the names of what is marked."""
    size = min(14.0, max(3.0, 14.0 * math.sqrt(400 / max(len(view.evaluations), 1))))
    evaluated = _points(view.known(cost, view.evaluations), cost)
    axes.scatter(*evaluated, s=size, color=EVALUATED, label="evaluated")
    axes.plot(*_points(view.steps(cost), cost), color=FRONT, drawstyle="steps-post", linewidth=1.5)
    front = _points(view.known(cost, view.front), cost)
    axes.plot(*front, color=FRONT, marker="o", markersize=4.5, linestyle="", label="Pareto front")
    _draw_intervals(axes, view, cost)
    _draw_budgets(axes, view, cost)
    known = [(short_name(b.name), b.evaluation) for b in view.baselines]
    marks = [(*_point(e, cost), name) for name, e in known if shown(e, cost) is not None]
    names = _draw_marks(axes, marks, marker="D", s=38, color=BASELINE, label="published models")
    tested = _tested_marks(view.tested, cost)
    names += _draw_marks(
        axes, tested, marker="*", s=90, color=TESTED, label="published entries, on the test split"
    )
    compared = _tested_marks(view.compared, cost)
    names += _draw_marks(
        axes, compared, marker="X", s=50, color=BASELINE, label="networks of timm's, likewise"
    )
    axes.set_xlabel(OBJECTIVES[cost].title)
    axes.grid(alpha=0.3)
    _scale_costs(axes, view.costs_shown(cost))
    return names


def _draw_intervals(axes: Axes, view: SearchView, cost: str) -> None:
    """The 95 % intervals of what is on the front, as far as it was measured."""
    measured = [one for one in view.known(cost, view.front) if one.images]
    if not measured:
        return
    xs, ys = _points(measured, cost)
    ends = [interval_pct(one.top1_pct, one.images) for one in measured]
    below = [y - low for y, (low, _) in zip(ys, ends, strict=True)]
    above = [high - y for y, (_, high) in zip(ys, ends, strict=True)]
    axes.errorbar(xs, ys, yerr=[below, above], color=FRONT, alpha=0.35, linestyle="", linewidth=1)


def _tested_marks(
    tested: Mapping[str, tuple[Mapping[str, float], float]], cost: str
) -> list[tuple[float, float, str]]:
    """Marks (x, y, name) of what was tested."""
    return [
        (
            costs[cost] / OBJECTIVES[cost].per_shown,
            top1_pct,
            f"{name}\n{with_interval(top1_pct, _images(costs))}",
        )
        for name, (costs, top1_pct) in tested.items()
        if cost in costs
    ]


def _images(costs: Mapping[str, float]) -> int | None:
    return int(costs["images"]) if "images" in costs else None


def _draw_marks(axes: Axes, marks: Sequence[tuple[float, float, str]], **style: Any) -> list[Annotation]:
    """Marks (x, y, name). Returns their names, which :func:`_place` puts beside them."""
    if not marks:
        return []
    xs, ys, _ = zip(*marks, strict=True)
    axes.scatter(xs, ys, edgecolor="white", zorder=4, **style)
    return [
        axes.annotate(
            name,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=style["color"],
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
            parse_math=False,  # a name with two dollar signs is not a formula
            zorder=5,
        )
        for x, y, name in sorted(marks)
    ]


def _place(axes: Axes, names: Sequence[Annotation]) -> None:
    """Put each of ``names`` where it is within the panel, and on no other and no mark, if there is room."""
    marks: Any = axes.transData.transform([name.xy for name in names]) if names else ()
    panel, taken = axes.get_window_extent(), list[Any]()
    for name in sorted(names, key=lambda name: name.xy):
        boxes = list[tuple[int, int, Any]]()
        for place in PLACES:
            name.set(**place)
            box = name.get_window_extent()
            over = sum(box.overlaps(other) for other in taken)
            over += sum(box.contains(*mark) for mark in marks)
            outside = not (panel.x0 <= box.x0 and box.x1 <= panel.x1 and panel.y0 <= box.y0)
            boxes.append((over + outside, len(boxes), box))
        *_, best, box = min(boxes)
        name.set(**PLACES[best])
        taken.append(box)


def _draw_budgets(axes: Axes, view: SearchView, cost: str) -> None:
    """A dotted line at each asked budget, and a ring around its answer."""
    for answer in view.budgets_in_sight(cost):
        limit = answer.limit / OBJECTIVES[cost].per_shown
        axes.axvline(limit, color=BUDGET, linestyle=":", linewidth=1.2)
        axes.annotate(
            f"≤ {OBJECTIVES[cost].shown(answer.limit)}",
            (limit, 0.02),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            xytext=(-2, 0),
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=8,
            color=BUDGET,
        )
    best = [answer.best for answer in view.answers if answer.cost == cost and answer.best is not None]
    if best:
        axes.plot(
            *_points(best, cost),
            linestyle="",
            marker="o",
            markersize=10,
            markerfacecolor="none",
            markeredgewidth=1.6,
            color=BUDGET,
            zorder=4,
            label="best within a budget",
        )


def _point(evaluation: Evaluation, cost: str) -> tuple[float, float]:
    return evaluation.value(cost) / OBJECTIVES[cost].per_shown, evaluation.top1_pct


def _points(evaluations: Sequence[Evaluation], cost: str) -> tuple[list[float], list[float]]:
    """The two coordinates of evaluations that have a value of ``cost``."""
    points = [_point(e, cost) for e in evaluations]
    return [x for x, _ in points], [y for _, y in points]


def _scale_costs(axes: Axes, values: Sequence[float]) -> None:
    """A scale whose ticks are plain numbers, 0.05 and 1200 alike."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if wants_log(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, below them, where it covers nothing."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize=8)
