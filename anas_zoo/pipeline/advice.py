"""Which of a run's models to take, in sentences, and what speaks against trusting it.

Models are compared by their accuracy on the search split, for the test split is only for what is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anas_zoo.core.hints import Call, Part
from anas_zoo.core.intervals import Z_95, with_interval
from anas_zoo.core.text import quoted
from anas_zoo.exporting import DEFAULT_TARGET

Row = dict[str, Any]
SCORE = "search_top1_pct"


def with_front(rows: Sequence[Row]) -> list[Row]:
    """``rows`` by latency, each with ``on_front``: no other is at least as accurate in no more time."""

    def beaten(row: Row) -> bool:
        return any(
            other is not row
            and other["latency_ms"] <= row["latency_ms"]
            and other[SCORE] >= row[SCORE]
            and (other["latency_ms"], -other[SCORE]) != (row["latency_ms"], -row[SCORE])
            for other in rows
        )

    found = [row | {"on_front": not beaten(row)} for row in rows]
    return sorted(found, key=lambda row: (row["latency_ms"], row["name"]))


def standard_error(one_pct: float, other_pct: float, images: int) -> float:
    """Of the difference of two accuracies on ``images`` images, in points.

    They are taken as independent, which is more than the truth for two models on the same images. An accuracy
    of 0 or 100 % counts as one image from it.
    """
    least = 1 / images
    shares = [min(max(pct / 100, least), 1 - least) for pct in (one_pct, other_pct)]
    return 100 * math.sqrt(sum(share * (1 - share) for share in shares) / images)


def clearly_better(one: Row, other: Row, images: int) -> bool:
    """Whether ``one`` is more accurate by more than the 95 % interval of the difference."""
    error = standard_error(one[SCORE], other[SCORE], images)
    return bool(one[SCORE] - other[SCORE] > Z_95 * error)


def still_rising(scores_pct: Sequence[float], images: int) -> bool:
    """Whether the last accuracy of a training is above the one before by more than chance."""
    if len(scores_pct) < 2:
        return False
    before, last = scores_pct[-2:]
    return last - before > Z_95 * standard_error(last, before, images)


def recommended(rows: Sequence[Row], images: int) -> tuple[Row, Row]:
    """The model to take, and the best one on the search split, often the same.

    It is the fastest of those that are level with the best in no more time: the one-standard-error rule
    (Breiman et al., 1984).

    Args:
        rows: of models, as :func:`with_front` gives them.
        images: of the search split.
    """
    best = max(rows, key=lambda row: (row[SCORE], -row["latency_ms"]))
    level = [
        row
        for row in rows
        if row["latency_ms"] <= best["latency_ms"]
        and best[SCORE] - row[SCORE] <= standard_error(best[SCORE], row[SCORE], images)
    ]
    return level[0], best


def advise(
    rows: Sequence[Row],
    plain: str | None,
    images: int,
    more: Call,
    rising: str | None = None,
    timms: Mapping[str, Path] | None = None,
) -> list[tuple[Part, ...]]:
    """Sentences for people.

    Args:
        rows: of the models and of networks of timm's, as :func:`with_front` gives them.
        plain: the name of the plain network among them, if there is one.
        images: of the search split.
        more: what trains longer.
        rising: the name of a model that was still getting better when its training ended.
        timms: the files of the networks of timm's by name, which are compared with, and are no entries.
    """
    beside = [row for row in rows if row["name"] in (timms or {})]
    rows = with_front([row for row in rows if row["name"] not in (timms or {})])
    take, best = recommended(rows, images)
    said: list[tuple[Part, ...]] = []
    if take is best:
        why = "nothing is better" if best is rows[0] else "all that is faster is worse"
        said.append((f"take {best['name']}: {_numbers(best)}; {why}",))
    else:
        names = f"{take['name']} and {best['name']}"
        said.append((f"{names} are within a standard error: take {take['name']}, {_numbers(take)}",))
    for row in rows:
        if row["latency_ms"] < take["latency_ms"] and row["on_front"]:
            times = take["latency_ms"] / row["latency_ms"]
            said.append((f"for less time {row['name']}: {_numbers(row)}, {times:.1f} times as fast",))
    said += _about_plain(rows, plain, images) + _about_training(rows, plain, images, more)
    for row in beside:
        said.append((_about_timm(row, rows, images, (timms or {})[row["name"]]),))
    if rising is not None:
        said.append((f"{rising} was still getting better at the end; give a run more time: ", more))
    return said


def _numbers(row: Row) -> str:
    target = row.get("target", DEFAULT_TARGET)
    of_what = "" if target == DEFAULT_TARGET else f" ({target})"
    return f"{with_interval(row['top1_pct'], row['images'])} in {row['latency_ms']:.3g} ms{of_what}"


def _about_plain(rows: Sequence[Row], plain: str | None, images: int) -> list[tuple[Part, ...]]:
    beside = next((row for row in rows if row["name"] == plain), None)
    if beside is None:
        return []
    ours = _as_fast(beside, rows)
    if not ours:
        return [(f"nothing of ours is as fast as the plain network {plain}: {_numbers(beside)}",)]
    if beside["on_front"]:
        rest = [row[SCORE] for row in rows if row is not beside]
        if max(rest) >= beside[SCORE] - standard_error(max(rest), beside[SCORE], images):
            return [(f"no model is clearly ahead of the plain network {plain}: {_numbers(beside)}",)]
        return [(f"the plain network is the better choice here, at {_numbers(beside)}: take {plain}",)]
    return [(f"a plain network beside has {_numbers(beside)}; {_best_of(ours, beside, images)}",)]


def _as_fast(beside: Row, rows: Sequence[Row]) -> list[Row]:
    """Those of ``rows`` but ``beside`` that take no more time than that."""
    return [row for row in rows if row is not beside and row["latency_ms"] <= beside["latency_ms"]]


def _best_of(ours: Sequence[Row], beside: Row, images: int) -> str:
    """The best of ``ours``, which is no worse than ``beside``."""
    best = max(ours, key=lambda row: (row[SCORE], -row["latency_ms"]))
    how = "" if clearly_better(best, beside, images) else ", which is within noise"
    return f"{best['name']} {_numbers(best)}{how}"


def _about_timm(beside: Row, rows: Sequence[Row], images: int, file: Path) -> str:
    """How a network of timm's compares with our ``rows``, and where its file is if nothing beats it."""
    name, least, ours = beside["name"], beside["latency_ms"], _as_fast(beside, rows)
    as_good = [row for row in rows if row[SCORE] >= beside[SCORE]]
    if any(row in as_good for row in ours):
        return f"{name} beside has {_numbers(beside)}; {_best_of(ours, beside, images)}"
    published = f"it is not published with the models, its file is {quoted(file)}"
    if not ours:
        return f"nothing of ours is as fast as {name}: {_numbers(beside)}; {published}"
    until = min((row["latency_ms"] for row in as_good), default=None)
    where = f"from {least:.3g} ms on" if until is None else f"from {least:.3g} to {until:.3g} ms"
    clearly = all(clearly_better(beside, row, images) for row in ours)
    noise = "" if clearly else ", which is within noise"
    return f"{name} is the better choice {where}, at {_numbers(beside)}{noise}; {published}"


def _about_training(
    rows: Sequence[Row], plain: str | None, images: int, more: Call
) -> list[tuple[Part, ...]]:
    """A larger model that is worse than a smaller one by more than noise was trained too shortly."""
    ours = [row for row in rows if row["name"] != plain]
    for place, row in enumerate(ours):
        for smaller in ours[:place]:
            if clearly_better(smaller, row, images):
                names = f"{row['name']} is worse than the smaller {smaller['name']}"
                return [(f"{names}: it was trained too shortly; give a run more time: ", more)]
    return []
