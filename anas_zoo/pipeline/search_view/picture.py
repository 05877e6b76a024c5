"""The picture of a search: every evaluation, the front, the budgets, and known models beside them."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anas_zoo.core.files import atomic_write
from anas_zoo.pipeline.search_view.labels import Label, place_labels
from anas_zoo.pipeline.search_view.view import SearchView, plain, short_name, shown, wants_log
from anas_zoo.searching import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SearchView", "draw_picture", "log_ticks"]

MAX_PANELS = 3
EVALUATED, FRONT, BUDGET, KNOWN, TESTED = "#9db4c8", "#1f5a8c", "#3a7d44", "#7d4a9c", "#c8492b"
# Tick mantissas from few to many; the first that gives enough ticks is taken.
MANTISSAS = [(1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)]
ENOUGH_TICKS = 4


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
    labels = [_draw_panel(axes, view, cost) for axes, cost in zip(panels, costs, strict=True)]
    scored_by = "\n".join(textwrap.wrap(plain(view.scored_by), 60))
    panels[0].set_ylabel(f"top-1 (%)\n{scored_by}", parse_math=False)
    panels[0].set_ylim(*view.top1_range())
    title = textwrap.fill(plain(view.title), int(width * 10))
    figure.suptitle(title, fontsize=12, parse_math=False)
    _add_legend(figure, panels)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes; that is nothing to warn users of.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # final now, so that pixels can be measured
        for axes, cost, wanted in zip(panels, costs, labels, strict=True):
            front = _points(view.known(cost, view.front), cost)
            place_labels(axes, wanted, avoid=list(zip(*front, strict=True)))
        figure.savefig(content, format="png", metadata={"Software": None})
    atomic_write(path, content.getvalue())


def _draw_panel(axes: Axes, view: SearchView, cost: str) -> list[Label]:
    """Draw everything over one cost; returns the labels that are still to be placed."""
    size = min(14.0, max(3.0, 14.0 * math.sqrt(400 / max(len(view.evaluations), 1))))
    axes.scatter(
        *_points(view.known(cost, view.evaluations), cost), s=size, color=EVALUATED, label="evaluated"
    )
    axes.plot(*_points(view.steps(cost), cost), color=FRONT, drawstyle="steps-post", linewidth=1.5)
    axes.plot(
        *_points(view.known(cost, view.front), cost),
        color=FRONT,
        marker="o",
        markersize=4.5,
        linestyle="",
        label="Pareto front",
    )
    _draw_budgets(axes, view, cost)
    labels = []
    known = [r for r in view.references if shown(r.evaluation, cost) is not None]
    xs, ys = _points([r.evaluation for r in known], cost)
    if known:
        axes.scatter(xs, ys, s=38, marker="D", color=KNOWN, edgecolor="white", zorder=4, label="known models")
    labels += [Label(x, y, plain(short_name(r.name)), KNOWN) for x, y, r in zip(xs, ys, known, strict=True)]
    tested = {
        name: (costs[cost] / OBJECTIVES[cost].per_shown, top1_pct)
        for name, (costs, top1_pct) in view.tested.items()
        if cost in costs
    }
    if tested:
        xs, ys = ([point[axis] for point in tested.values()] for axis in (0, 1))
        axes.scatter(
            xs, ys, s=90, marker="*", color=TESTED, zorder=4, label="published entries, on the test split"
        )
    labels += [Label(x, y, f"{plain(name)}\n{y:.2f} %", TESTED) for name, (x, y) in tested.items()]
    axes.set_xlabel(OBJECTIVES[cost].title)
    axes.grid(alpha=0.3)
    _scale_costs(axes, view.costs_shown(cost))
    return labels


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


def _points(evaluations: Sequence[Evaluation], cost: str) -> tuple[list[float], list[float]]:
    """The two coordinates of evaluations that have a value of ``cost``."""
    per = OBJECTIVES[cost].per_shown
    return [e.value(cost) / per for e in evaluations], [e.top1_pct for e in evaluations]


def _scale_costs(axes: Axes, values: Sequence[float]) -> None:
    """A scale whose ticks are plain numbers, 0.05 and 1200 alike."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    if wants_log(values):
        margin = (max(values) / min(values)) ** 0.05
        left, right = min(values) / margin, max(values) * margin
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_xticks(log_ticks(left, right))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))  # the scale has its own


def log_ticks(left: float, right: float) -> list[float]:
    """Round numbers from ``left`` to ``right``, as few as will do on a log scale."""
    decades = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    ticks: list[float] = []
    for mantissas in MANTISSAS:
        numbers = (mantissa * 10.0**decade for decade in decades for mantissa in mantissas)
        ticks = [number for number in numbers if left <= number <= right]
        if len(ticks) >= ENOUGH_TICKS:
            break
    return ticks


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, below them, where it covers nothing."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize=8)
