"""Table and picture of benchmarks/own_images.py."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import timm
import torch
from own_images_data import DATA_SETS
from shared import machine_in_words, write

from anas_zoo.core.intervals import interval_pct
from anas_zoo.core.tables import markdown_table

Cells = Sequence[Mapping[str, Any]]

# Okabe and Ito's colours, which people with any colour vision tell apart.
RUN = "#0072B2"
COLOURS = {
    "w16": "#E69F00",
    "w32": "#D55E00",
    "mobilenetv3_small_050": "#009E73",
    "resnet10t": "#CC79A7",
    "efficientnet_lite0_finetuned": "#000000",
}
MARKERS = {"conv3": "o", "conv5": "s", "conv7": "^"}
AXES = {
    "macs": (1e-6, "MFLOPs (multiply-adds)"),
    "latency_ms": (1, "latency of one image, ms"),
    "size_bytes": (1e-3, "ONNX file, kB"),
}


@dataclass(frozen=True)
class Point:
    """Models of one name, one of each seed: means, and the standard deviation of top-1 over the seeds.

    ``low`` and ``high`` are the 95 % interval of the mean top-1, were it that of one seed's test images.
    """

    name: str
    seeds: int
    top1_pct: float
    sd: float | None
    low: float
    high: float
    cost: Mapping[str, float]

    @property
    def error(self) -> list[list[float]]:
        """What the picture's error bar spans below and above: the deviation, of one seed the interval."""
        if self.sd is not None:
            return [[self.sd], [self.sd]]
        return [[self.top1_pct - self.low], [self.high - self.top1_pct]]

    def row(self) -> tuple[str, ...]:
        """Top-1 with its uncertainty, multiply-adds, parameters, latency and size, as in the tables."""
        costs = self.cost
        return (
            f"{spread(self.top1_pct, self.sd)} ({self.low:.1f}–{self.high:.1f})",
            f"{costs['macs'] / 1e6:.2f}",
            f"{costs['params'] / 1e3:,.0f} k",
            f"{costs['latency_ms']:.3f}",
            f"{costs['size_bytes'] / 1e3:,.0f}",
        )


def spread(mean: float, sd: float | None) -> str:
    return f"{mean:.1f}" if sd is None else f"{mean:.1f} ± {sd:.1f}"


def point_of(name: str, models: Sequence[Mapping[str, Any]]) -> Point:
    top1 = [model["top1_pct"] for model in models]
    mean, sd = statistics.fmean(top1), statistics.stdev(top1) if len(top1) > 1 else None
    low, high = interval_pct(mean, models[0]["images"])
    costs = ("macs", "params", "latency_ms", "size_bytes")
    cost = {key: statistics.fmean(model[key] for model in models) for key in costs}
    return Point(name, len(models), mean, sd, low, high, cost)


def points_of(cells: Cells, arm: str) -> list[Point]:
    """The points of an arm, from the fastest to the slowest."""
    named: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        for model in cell["models"]:
            if model["arm"] == arm:
                named.setdefault(model["name"], []).append(model)
    found = [point_of(name, models) for name, models in named.items()]
    return sorted(found, key=lambda point: point.cost["latency_ms"])


def as_fast(cell: Mapping[str, Any], baseline: str) -> Mapping[str, Any] | None:
    """The run's model that a user with the baseline's latency as a limit takes; None where none is as fast.

    That is the best on the search part where the run says it, else the slowest: the test part is not asked.
    A file may be slower by the noise of the measurement.
    """
    named = [m for m in cell["models"] if m["arm"] == "baselines" and m["name"] == baseline]
    if not named:
        return None
    limit = named[0]["latency_ms"] * (1 + cell["noise_pct"] / 100)
    within = [m for m in cell["models"] if m["arm"] == "run" and m["latency_ms"] <= limit]
    return max(within, key=lambda m: (m.get("search_top1_pct", 0.0), m["latency_ms"]), default=None)


@dataclass(frozen=True)
class Verdict:
    """The run against one baseline: ``point`` of the models that are as fast, None unless every seed has one.

    ``behind`` is by how many points the run's mean top-1 lies below the baseline's less its deviation.
    """

    baseline: Point
    point: Point | None
    behind: float

    @property
    def reached(self) -> bool:
        return self.point is not None and self.behind <= 0

    def words(self) -> str:
        if self.point is None:
            return "no model as fast"
        difference = self.point.top1_pct - self.baseline.top1_pct
        if self.reached:
            return f"ahead by {difference:.1f}" if difference > 0 else f"level ({difference:+.1f})"
        return f"behind by {-difference:.1f}"


def verdicts_of(cells: Cells) -> list[Verdict]:
    """One for each baseline, of the seeds that have a run."""
    found = []
    with_run = [cell for cell in cells if cell["run_seconds"] is not None]
    for baseline in points_of(with_run, "baselines"):
        chosen = [as_fast(cell, baseline.name) for cell in with_run]
        models = [model for model in chosen if model is not None]
        point = point_of("", models) if models and len(models) == len(chosen) else None
        behind = baseline.top1_pct - (baseline.sd or 0.0) - (point.top1_pct if point else 0.0)
        found.append(Verdict(baseline, point, behind))
    return found


def by_section(cells: Cells) -> dict[tuple[str, float], Cells]:
    """The cells of each data set and length, in the order of the data sets."""
    found: dict[tuple[str, float], list[Mapping[str, Any]]] = {}
    for name in DATA_SETS:
        for cell in sorted(cells, key=lambda cell: (cell["minutes"], cell["seed"])):
            if cell["data"] == name:
                found.setdefault((name, cell["minutes"]), []).append(cell)
    return dict(found)


def report(folder: Path, cells: Cells) -> None:
    """Write own_images.md and own_images.png."""
    sections = by_section(cells)
    lines = [
        "# Your own images: one `anas run` against networks trained in the same time",
        "",
        "The baselines of a data set together get the seconds that its run took, on the same cores, in equal "
        "shares; [the script](../own_images.py) says how. Top-1 is on test images that neither saw: mean ± "
        "standard deviation over the seeds, and in brackets the 95 % interval of one seed's test images. "
        "The run's model for a baseline is the one that its own search split prefers among those at no more "
        "latency; it is level within the baseline's standard deviation.",
        "",
        f"On {' and '.join(sorted({cell['made_on'] for cell in cells}))}; latency: one image, one thread, "
        "all models of a cell in one sweep. Made by `python benchmarks/own_images.py --stamps PACKAGE.deb "
        "--out runs/own_images --minutes M`.",
        "",
        *overview(sections),
        "![Test top-1 over multiply-adds, latency and file size](own_images.png)",
    ]
    for (data, minutes), found in sections.items():
        lines += ["", *section(data, minutes, found)]
    write(folder / "own_images.md", lines)
    draw(folder / "own_images.png", sections)


def overview(sections: Mapping[tuple[str, float], Cells]) -> Iterable[str]:
    """How many baselines each data set's runs reach."""
    rows = []
    for (data, minutes), cells in sections.items():
        verdicts = verdicts_of(cells)
        if verdicts:
            reached = sum(verdict.reached for verdict in verdicts)
            missed = ", ".join(f"{v.baseline.name} ({v.words()})" for v in verdicts if not v.reached)
            of_all = f"{reached} of {len(verdicts)}"
            rows.append((DATA_SETS[data].title, f"{minutes:g}", len(cells), of_all, missed or "–"))
    if not rows:
        return []
    heads = ("images", "minutes", "seeds", "baselines reached", "missed")
    return [markdown_table(heads, rows), ""]


def section(data: str, minutes: float, cells: Cells) -> list[str]:
    """The two tables of one data set."""
    tested = cells[0]["models"][0]["images"]
    seeds = f"{len(cells)} seed{'s' if len(cells) > 1 else ''}"
    lines = [f"## {DATA_SETS[data].title}, {minutes:g} minutes", "", f"{seeds}, {tested} test images."]
    took = [cell["run_seconds"] for cell in cells if cell["run_seconds"] is not None]
    if took:
        lines[-1] += f" The run took {statistics.fmean(took):.0f} s."
    trained = [m["seconds"] for cell in cells for m in cell["models"] if m["arm"] == "baselines"]
    if trained:
        lines[-1] += f" Each baseline was trained for {statistics.fmean(trained):.0f} s of one core."
    costs = ("MFLOPs", "parameters", "ms", "kB")
    verdicts = {verdict.baseline.name: verdict for verdict in verdicts_of(cells)}
    rows = []
    for baseline in points_of(cells, "baselines"):
        verdict = verdicts.get(baseline.name)
        ours: tuple[str, ...] = ("", "", "")
        if verdict is not None and verdict.point is not None:
            mine = verdict.point
            ours = (spread(mine.top1_pct, mine.sd), *mine.row()[1:4:2])
        rows.append((baseline.name, *baseline.row(), *ours, verdict.words() if verdict else "no run"))
    heads = (
        "baseline",
        "top-1 %",
        *costs,
        "the run's at no more latency, top-1 %",
        "MFLOPs",
        "ms",
        "the run is",
    )
    if rows:
        lines += ["", markdown_table(heads, rows)]
    if front := points_of(cells, "run"):
        of_front = [(point.name, str(point.seeds), *point.row()) for point in front]
        lines += ["", markdown_table(("model of the run", "seeds", "top-1 %", *costs), of_front)]
    return lines


def made_on() -> str:
    """The machine, what its processor can do, and the versions that the numbers of a cell depend on."""
    versions = (f"{package.__name__} {package.__version__}" for package in (torch, timm, onnxruntime))
    return f"{machine_in_words()} with {', '.join(versions)}"


def draw(file: Path, sections: Mapping[tuple[str, float], Cells]) -> None:
    """A row for each data set and length, a column for each cost."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(13, 3.4 * len(sections) + 0.9), layout="constrained")
    grid = figure.subplots(len(sections), len(AXES), sharey="row", squeeze=False)
    shown: dict[str, Any] = {}
    for row, ((data, minutes), cells) in zip(grid, sections.items(), strict=True):
        for axis, (cost, (unit, label)) in zip(row, AXES.items(), strict=True):
            front = sorted(points_of(cells, "run"), key=lambda point: point.cost[cost])
            axis.plot([unit * p.cost[cost] for p in front], [p.top1_pct for p in front], color=RUN)
            for point in front:
                shown["anas run"] = _mark(axis, point, unit * point.cost[cost], RUN, "D")
            for point in points_of(cells, "baselines"):
                family, _, width = point.name.partition("_")
                colour = COLOURS.get(point.name) or COLOURS[width]
                shown[point.name] = _mark(
                    axis, point, unit * point.cost[cost], colour, MARKERS.get(family, "P")
                )
            axis.set(xscale="log", xlabel=label)
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3, which="both")
        row[0].set(ylabel="test top-1, %")
        row[0].set_title(f"{DATA_SETS[data].title}, {minutes:g} minutes", loc="left", fontsize=11)
    names = sorted(shown, key=lambda name: (name != "anas run", name))
    figure.legend([shown[name] for name in names], names, loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(file, dpi=110)


def _mark(axis: Any, point: Point, x: float, colour: str, marker: str) -> Any:
    style = {"color": colour, "marker": marker, "linestyle": "none", "capsize": 3, "markersize": 6}
    return axis.errorbar([x], [point.top1_pct], yerr=point.error, **style)
