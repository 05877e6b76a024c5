"""The picture of a training: accuracy of the smallest, sampled and largest subnets over time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anas_zoo.core.files import atomic_write

COLOURS = {"smallest": "#c8492b", "sampled": "#7a8b99", "largest": "#1f5a8c"}
OTHER = "#3a7d44"


def draw_training(path: Path, records: Sequence[Mapping[str, Any]], *, title: str) -> None:
    """Write a PNG from the records of ``metrics.jsonl``: accuracy above, losses below, over epochs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 6.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    evaluations = [record for record in records if record["kind"] == "evaluation"]
    for name in evaluations[0]["top1_pct"] if evaluations else ():
        epochs = [record["epoch"] for record in evaluations]
        values = [record["top1_pct"][name] for record in evaluations]
        colour = COLOURS.get(name, OTHER)
        top.plot(epochs, values, marker="o", markersize=4, color=colour, label=name)
        end = epochs[-1], values[-1]
        offset = {"textcoords": "offset points", "xytext": (6, -3)}
        top.annotate(f"{values[-1]:.1f}", end, fontsize=8, color=colour, **offset)
    top.set_ylabel("top-1 (%), search split")
    top.set_title(f"{title}: accuracy while training")
    trained = [record for record in records if record["kind"] == "train"]
    per_epoch = {record["epoch"]: record for record in trained}  # the last record of each epoch
    kinds = dict.fromkeys(kind for record in trained for kind in record["loss"])
    for kind in kinds:
        points = [
            (epoch, record["loss"][kind]) for epoch, record in per_epoch.items() if kind in record["loss"]
        ]
        bottom.plot(*zip(*points, strict=True), color=COLOURS.get(kind, OTHER), label=kind)
    for record in records:
        if record["kind"] == "rollback":
            bottom.axvline(record.get("epoch", 0), color="#888888", linestyle=":")
    bottom.set_yscale("log")
    bottom.set_ylabel("training loss")
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (top, bottom):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(loc="best", fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    atomic_write(path, content.getvalue())
