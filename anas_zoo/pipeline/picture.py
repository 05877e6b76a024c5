"""The picture of a search: every evaluation, the front, and the published entries if there are any."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from anas_zoo.files import atomic_write
from anas_zoo.search import Evaluation

__all__ = ["draw_front"]


def draw_front(
    path: Path,
    evaluations: Sequence[Evaluation],
    front: Sequence[Evaluation],
    *,
    title: str,
    views: int = 1,
    tested: Mapping[str, tuple[int, float]] | None = None,
) -> None:
    """Write a PNG with top-1 over multiply-adds (log scale).

    ``views`` is how often each search image was scored, once plain and else augmented (and so harder).
    ``tested`` are published entries: name -> (multiply-adds, top-1 on the test split in percent).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    split = "search split" if views == 1 else f"search split, {views} views an image"
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(
        [e.macs / 1e6 for e in evaluations],
        [e.top1_pct for e in evaluations],
        s=14,
        color="#9db4c8",
        label=f"evaluated, {split}",
    )
    axes.plot(
        [e.macs / 1e6 for e in front],
        [e.top1_pct for e in front],
        color="#1f5a8c",
        marker="o",
        markersize=5,
        drawstyle="steps-post",
        label=f"Pareto front, {split}",
    )
    points = tested or {}
    if points:
        axes.scatter(
            [macs / 1e6 for macs, _ in points.values()],
            [top1 for _, top1 in points.values()],
            s=90,
            marker="*",
            color="#c8492b",
            zorder=3,
            label="published, test split, plain images",
        )
    for index, (name, (macs, top1)) in enumerate(points.items()):
        axes.annotate(
            f"{name}\n{top1:.2f} %",
            (macs / 1e6, top1),
            textcoords="offset points",
            xytext=(8, -20 if index % 2 == 0 else -44),  # neighbours in cost would cover each other
            fontsize=8,
            color="#8a2c14",
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )
    # The few subnets that the search abandoned at once would squeeze everything else to a line.
    shown = sorted(e.top1_pct for e in evaluations)
    low = min([shown[len(shown) // 20], *(top1 for _, top1 in points.values())])
    axes.set_ylim(low - 1.0, 100.4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    left, right = axes.get_xlim()
    axes.set_xticks([tick for tick in ticks if left <= tick <= right])
    axes.set_xlabel("MFLOPs (multiply-adds)")
    axes.set_ylabel("top-1 (%)")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    atomic_write(path, content.getvalue())
