"""Which of a run's models to take, in sentences, and what speaks against trusting it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from anas_zoo.core.hints import Call, Part

Row = dict[str, Any]
Z = 1.96  # of a 95 % interval


def with_front(rows: Sequence[Row]) -> list[Row]:
    """``rows`` by latency, each with ``on_front``: no other is at least as accurate in no more time."""

    def beaten(row: Row) -> bool:
        return any(
            other is not row
            and other["latency_ms"] <= row["latency_ms"]
            and other["top1_pct"] >= row["top1_pct"]
            and (other["latency_ms"], -other["top1_pct"]) != (row["latency_ms"], -row["top1_pct"])
            for other in rows
        )

    found = [row | {"on_front": not beaten(row)} for row in rows]
    return sorted(found, key=lambda row: (row["latency_ms"], row["name"]))


def difference_interval(one_pct: float, other_pct: float, images: int) -> tuple[float, float]:
    """A 95 % interval of the difference of two accuracies on ``images`` images, in points.

    They are taken as independent, which is wider than the truth for two models on the same images.
    """
    shares = [one_pct / 100, other_pct / 100]
    error = 100 * Z * math.sqrt(sum(share * (1 - share) for share in shares) / images)
    difference = one_pct - other_pct
    return difference - error, difference + error


def advise(rows: Sequence[Row], plain: str | None, images: int, more: Call) -> list[tuple[Part, ...]]:
    """Sentences for people.

    Args:
        rows: of the models, as :func:`with_front` gives them.
        plain: the name of the plain network among them, if there is one.
        images: of the test split.
        more: what trains longer.
    """
    said: list[tuple[Part, ...]] = []
    best = max(rows, key=lambda row: (row["top1_pct"], -row["latency_ms"]))
    level = [
        row
        for row in rows
        if row["latency_ms"] <= best["latency_ms"]
        and difference_interval(best["top1_pct"], row["top1_pct"], images)[0] <= 0
    ]
    take = level[0]
    if take is best:
        said.append((f"take {best['name']}: {_numbers(best)}; nothing faster is within noise of it",))
    else:
        names = " and ".join(row["name"] for row in [*level[:1], best])
        said.append((f"{names} are within noise of each other: take {take['name']}, {_numbers(take)}",))
    for row in rows:
        if row["latency_ms"] < take["latency_ms"] and row["on_front"]:
            lost = take["top1_pct"] - row["top1_pct"]
            times = take["latency_ms"] / row["latency_ms"]
            said.append((f"for less time: {row['name']}, {times:.1f} times as fast, {lost:.1f} points less",))
    said += _about_plain(rows, plain, images)
    said += _about_training(rows, plain, images, more)
    return said


def _numbers(row: Row) -> str:
    return f"{row['top1_pct']:.1f} % in {row['latency_ms']:.3g} ms"


def _about_plain(rows: Sequence[Row], plain: str | None, images: int) -> list[tuple[Part, ...]]:
    beside = next((row for row in rows if row["name"] == plain), None)
    if beside is None:
        return []
    if beside["on_front"]:
        return [(f"the plain network is the better choice around {beside['latency_ms']:.3g} ms: {plain}",)]
    ours = [row for row in rows if row is not beside and row["latency_ms"] <= beside["latency_ms"]]
    best = max(ours, key=lambda row: row["top1_pct"])
    low, _ = difference_interval(best["top1_pct"], beside["top1_pct"], images)
    sure = "" if low > 0 else ", within noise"
    ahead = best["top1_pct"] - beside["top1_pct"]
    return [
        (
            f"a plain network of {beside['latency_ms']:.3g} ms has {beside['top1_pct']:.1f} %: "
            f"{best['name']} has {ahead:.1f} points more in no more time{sure}",
        )
    ]


def _about_training(
    rows: Sequence[Row], plain: str | None, images: int, more: Call
) -> list[tuple[Part, ...]]:
    """A larger model that is worse than a smaller one by more than noise was trained too shortly."""
    ours = [row for row in rows if row["name"] != plain]
    for place, row in enumerate(ours):
        for smaller in ours[:place]:
            if difference_interval(smaller["top1_pct"], row["top1_pct"], images)[0] > 0:
                what = (
                    f"{row['name']} is worse than the smaller {smaller['name']}: it was trained too shortly; "
                )
                return [(what, "give the run more time: ", more)]
    return []
