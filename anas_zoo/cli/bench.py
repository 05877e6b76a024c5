"""``anas bench``: the latency of entries on this machine, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table


def bench(
    entries: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Models of the shelf or folders.")],
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of onnxruntime.")] = 1,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measured calls of each file.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Measure the latency of entries here and now: one image, onnxruntime CPU, calls interleaved."""
    from anas_zoo.core.errors import EntryError
    from anas_zoo.entry import Entry
    from anas_zoo.profiling import measure_latency
    from anas_zoo.zoo.shelf import locate

    files: dict[str, Path] = {}
    for text in entries:
        entry = Entry.read(locate(text))
        exported = [name for name in entry.files if name.endswith(".onnx")]
        if not exported:
            raise EntryError(f"{text} has no .onnx file to time; see which have: anas list")
        files |= {f"{entry.name}/{name}": entry.folder / name for name in exported}
    reports = measure_latency(files, threads=threads, repeats=repeats)
    if as_json:
        print_json({name: report.to_dict() for name, report in reports.items()})
        return
    print_table(
        ["file", "p50 ms", "p95 ms", "min ms", "noise %"],
        [
            [name, f"{r.p50_ms:.3f}", f"{r.p95_ms:.3f}", f"{r.min_ms:.3f}", f"{r.noise_pct:.0f}"]
            for name, r in reports.items()
        ],
    )
    first = next(iter(reports.values()))
    print_lines(f"{first.runtime}, {threads} thread(s), {repeats} calls each; {first.machine}")
