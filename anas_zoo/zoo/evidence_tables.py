"""What was measured of an entry as heads and rows, alike for its card and for ``anas show``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anas_zoo.core.intervals import interval_pct, with_interval
from anas_zoo.entry import Accuracy, FileInfo, Published

Table = tuple[list[str], list[list[str]]]

MATRIX_CLASSES = 12  # more columns do not fit on a page or a terminal
MOST_ROWS = 20


def measured_table(accuracies: Sequence[Accuracy]) -> Table:
    """A row for each measurement; top-5 and calibration error only where they were measured."""
    further = {
        head: cells
        for head, cells in {
            "top-5": [a.top5_pct for a in accuracies],
            "calibration error": [a.ece_pct for a in accuracies],
        }.items()
        if any(cell is not None for cell in cells)
    }
    heads = ["top-1", *further, "images", "split", "data", "preprocessing"]
    rows = []
    for place, a in enumerate(accuracies):
        cells = ["–" if (pct := column[place]) is None else f"{pct:.2f} %" for column in further.values()]
        rows.append([a.top1, *cells, str(a.images), a.split, a.source, a.preprocessing])
    return heads, rows


def class_name(labels: Sequence[str] | None, number: int) -> str:
    """The name of a class, or its number where it has none."""
    return labels[number] if labels is not None and number < len(labels) else str(number)


def class_table(accuracy: Accuracy, labels: Sequence[str] | None, most: int | None = MOST_ROWS) -> Table:
    """A row for each class, the least accurate first and at most so many; none without a confusion matrix."""
    rows = []
    for one in accuracy.by_class[:most]:
        mostly = "–"
        if one.taken_for is not None:
            predicted, count = one.taken_for
            mostly = f"{class_name(labels, predicted)} ({count})"
        shown = with_interval(one.top1_pct, one.images)
        rows.append([class_name(labels, one.label), shown, str(one.images), mostly])
    return ["class", "top-1", "images", "mostly taken for"], rows


def confusion_table(accuracy: Accuracy, labels: Sequence[str] | None) -> Table:
    """The confusion matrix of few classes: a row for what images are, a column for what they are taken for.

    Of more classes the most frequent confusions, one a row.
    """
    classes, cells = accuracy.classes, accuracy.confusion or {}
    if len(classes) <= MATRIX_CLASSES:
        counts = [[cells.get(label, {}).get(predicted, 0) for predicted in classes] for label in classes]
        names = [class_name(labels, number) for number in classes]
        rows = [[name, *(str(n or "·") for n in row)] for name, row in zip(names, counts, strict=True)]
        return ["is / taken for", *names], rows
    rows = [
        [class_name(labels, label), class_name(labels, predicted), str(count)]
        for label, predicted, count in accuracy.confusions[:MOST_ROWS]
        if count > 1  # a single image is chance
    ]
    return ["is", "taken for", "images"], rows


def class_tables(accuracy: Accuracy, labels: Sequence[str] | None) -> dict[str, Table]:
    """Both tables by their titles on a terminal; those without rows are left out."""
    by_class, confused = class_table(accuracy, labels), confusion_table(accuracy, labels)
    count = len(accuracy.by_class)
    title = "by class, the least accurate first"
    if len(by_class[1]) < count:
        title = f"the {len(by_class[1])} least accurate of {count} classes"
    is_matrix = len(accuracy.classes) <= MATRIX_CLASSES
    matrix = (
        "what images are (rows) and were taken for (columns)" if is_matrix else "most frequent confusions"
    )
    found = {title: by_class, matrix: confused}
    return {title: table for title, table in found.items() if table[1]}


def accuracy_data(accuracy: Accuracy, labels: Sequence[str] | None) -> dict[str, Any]:
    """The record as plain data for machines, with what follows from it.

    Added are ``top1_interval_pct``, and where there is a confusion matrix ``classes``: for each class its
    number, label, images, how many are correct, top-1 and its interval.
    """
    data = accuracy.model_dump(mode="json")
    data["top1_interval_pct"] = list(accuracy.top1_interval_pct)
    data["mistakes"] = [
        one.model_dump(mode="json")
        | {"label_name": class_name(labels, one.label), "predicted_name": class_name(labels, one.predicted)}
        for one in accuracy.mistakes
    ]
    data["classes"] = [
        {
            "class": one.label,
            "label": class_name(labels, one.label),
            "images": one.images,
            "correct": one.correct,
            "top1_pct": one.top1_pct,
            "top1_interval_pct": list(interval_pct(one.top1_pct, one.images)),
        }
        for one in sorted(accuracy.by_class, key=lambda one: one.label)
    ]
    return data


def published_table(figures: Sequence[Published]) -> Table:
    """A row for each figure that others published; none was measured here."""
    rows = [
        [f"{f.top1_pct:g} %", f.weights or "–", f.dataset, f.preprocessing or "not stated", f.source]
        for f in figures
    ]
    return ["top-1", "weights", "data", "preprocessing", "published in"], rows


def file_table(files: Mapping[str, FileInfo]) -> Table:
    """A row for each exported file: what it is for, and how well it agrees with torch where it ran."""
    heads = ["file", "target", "precision", "input", "opset", "bytes", "its top-1", "agrees with torch"]
    heads += ["logit difference", "ran in"]
    rows = []
    for name, info in sorted(files.items()):
        row = [name, info.target, precision(info), info.input, str(info.opset), f"{info.size_bytes:,}"]
        rows.append([*row, *_agreement(info)])
    return heads, rows


def _agreement(info: FileInfo) -> list[str]:
    p = info.parity
    if p is None:
        return [*["not validated"] * 3, "not run"]
    ran_in = p.runtime or "not stated"
    if p.not_run_here is not None:
        ran_in += f"; not run on its own runtime: {p.not_run_here}"
    return [
        "not measured" if p.top1_pct is None else with_interval(p.top1_pct, p.images),
        f"{p.top1_agreement_pct:.2f} % of {p.images} images",
        f"{p.max_abs_logit_diff:.2g}",
        ran_in,
    ]


def latency_table(files: Mapping[str, FileInfo]) -> Table:
    """A row for each latency of a file."""
    heads = ["file", "p50 ms", "p95 ms", "threads", "batch", "runtime", "provider", "machine"]
    rows = [
        [
            name,
            f"{t.p50_ms:.3g}",
            f"{t.p95_ms:.3g}",
            str(t.threads),
            str(t.batch_size),
            t.runtime,
            t.provider,
            t.machine,
        ]
        for name, info in sorted(files.items())
        for t in info.latency
    ]
    return heads, rows


def precision(info: FileInfo) -> str:
    """'int8' of a quantized file, else what its target's name says, or 'fp32'."""
    if info.quantization is not None:
        return "int8"
    return next((part for part in ("fp16", "bf16", "int8") if part in info.target.split("-")), "fp32")
