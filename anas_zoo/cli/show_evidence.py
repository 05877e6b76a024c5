"""What ``anas show`` prints of an entry's report: every accuracy, every count, every exported file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anas_zoo.cli.output import print_lines, print_table

if TYPE_CHECKING:
    from anas_zoo.zoo import EntryReport, FileInfo

__all__ = ["print_accuracies", "print_cost", "print_exported"]


def print_accuracies(report: EntryReport) -> None:
    """Accuracies beside the first, measured ones before published ones."""
    measured = [
        [
            f"{one.top1_pct:.2f}",
            _percent(one.top5_pct),
            "measured",
            str(one.images),
            one.source,
            one.split,
            one.preprocessing,
        ]
        for one in report.further_accuracy
    ]
    published = [
        [
            f"{one.top1_pct:.2f}",
            "-",
            "published",
            "-",
            one.dataset,
            one.weights or "-",
            one.preprocessing or "-",
        ]
        for one in report.also_published
    ]
    if measured or published:
        print_lines("", "further accuracies (published ones were not measured here)")
        heads = ["top-1 %", "top-5 %", "", "images", "data", "split or weights", "preprocessing"]
        print_table(heads, [*measured, *published])


def print_cost(report: EntryReport) -> None:
    """Every count, as ``anas profile`` shows them."""
    from anas_zoo.zoo.cost_table import cost_rows

    if report.cost is None:
        return
    print_lines("", "cost")
    print_table(
        ["what", "count", "why"], [[row.what, f"{row.count:,}", row.why] for row in cost_rows(report.cost)]
    )


def print_exported(report: EntryReport) -> None:
    """The exported files: what for, how well they agree with torch, how long they take; refused ones last."""
    if report.files:
        print_lines("", "exported files")
        heads = [
            "file",
            "target",
            "precision",
            "input",
            "opset",
            "bytes",
            "top-1 %",
            "agrees %",
            "logit diff",
        ]
        print_table(heads, [_agreement(name, info) for name, info in report.files.items()])
        _print_latencies(report)
        elsewhere = {
            name: info.parity.not_run_here
            for name, info in report.files.items()
            if info.parity is not None and info.parity.not_run_here
        }
        int8 = {
            name: info.quantization.beside_float(info.size_bytes)
            for name, info in report.files.items()
            if info.quantization is not None
        }
        if int8:
            print_lines("", "int8", *(f"  {name}: {told}" for name, told in int8.items()))
        if elsewhere:
            print_lines("", "not run here", *(f"  {name}: {why}" for name, why in elsewhere.items()))
    if report.refused:
        print_lines("", "made and refused", *(f"  {name}: {why}" for name, why in report.refused.items()))


def _agreement(name: str, info: FileInfo) -> list[str]:
    from anas_zoo.zoo.catalog.model import precision

    parity = info.parity
    evidence = ["-"] * 3
    if parity is not None:
        evidence = [
            _percent(parity.top1_pct),
            f"{parity.top1_agreement_pct:.2f}",
            f"{parity.max_abs_logit_diff:.1e}",
        ]
    return [
        name,
        info.target,
        precision(info),
        info.input,
        str(info.opset),
        f"{info.size_bytes:,}",
        *evidence,
    ]


def _print_latencies(report: EntryReport) -> None:
    rows = [
        [
            name,
            f"{one.p50_ms:.3f}",
            f"{one.p95_ms:.3f}",
            str(one.threads),
            str(one.batch_size),
            one.runtime,
            one.machine,
        ]
        for name, info in report.files.items()
        for one in info.latency
    ]
    if rows:
        print_lines("", "latency")
        print_table(["file", "p50 ms", "p95 ms", "threads", "batch", "runtime", "machine"], rows)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
