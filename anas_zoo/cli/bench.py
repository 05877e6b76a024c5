"""``anas bench``: the latency of entries on this machine, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_table


def bench(
    entries: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Models of the shelf or folders.")],
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of the runtime.")] = 1,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measured calls of each file.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Measure the latency of entries here and now: one image, on the CPU, calls interleaved.

    Files for LiteRT are measured in LiteRT, all others in onnxruntime.
    """
    from anas_zoo.core.errors import EntryError
    from anas_zoo.core.extras import MissingPackageError
    from anas_zoo.core.progress import note
    from anas_zoo.entry import Entry
    from anas_zoo.entry.manifest import LITERT, ONNX
    from anas_zoo.exporting.checks import check_litert
    from anas_zoo.profiling import measure_latency
    from anas_zoo.zoo.shelf import locate

    files: dict[str, Path] = {}
    for text in entries:
        entry = Entry.read(locate(text))
        exported = [name for name in entry.files if name.endswith((ONNX, LITERT))]
        if not exported:
            raise EntryError(f"{text} has no exported file to time; see which have: anas list")
        for name in exported:
            if name.endswith(LITERT):
                try:
                    check_litert(entry.folder / name, entry.folder / name)
                except MissingPackageError as exc:
                    note(f"{entry.name}/{name} is not timed: ", *exc.parts)
                    exported = [other for other in exported if other != name]
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
    runtimes = " and ".join(dict.fromkeys(r.runtime for r in reports.values()))
    print_lines(f"{runtimes}, {threads} thread(s), {repeats} calls each; {first.machine}")
