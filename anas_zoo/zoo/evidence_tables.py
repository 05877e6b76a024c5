"""What was measured of an entry as heads and rows, alike for its card and for ``anas show``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anas_zoo.entry import Accuracy, FileInfo, Published

Table = tuple[list[str], list[list[str]]]


def measured_table(accuracies: Sequence[Accuracy]) -> Table:
    """A row for each measurement; top-5 only where it was measured."""
    with_top5 = any(a.top5_pct is not None for a in accuracies)
    heads = ["top-1", *(["top-5"] if with_top5 else []), "images", "split", "data", "preprocessing"]
    rows = []
    for a in accuracies:
        top5 = ["–" if a.top5_pct is None else f"{a.top5_pct:.2f} %"] if with_top5 else []
        rows.append([f"{a.top1_pct:.2f} %", *top5, str(a.images), a.split, a.source, a.preprocessing])
    return heads, rows


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
        "not measured" if p.top1_pct is None else f"{p.top1_pct:.2f} %",
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
