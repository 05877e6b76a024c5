"""``anas validate``: compare exported files with torch."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import EntryArgument, JsonOption, RunDataOption
from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.intervals import with_interval

if TYPE_CHECKING:
    from anas_zoo.pipeline.validate import Located

LocateOption = Annotated[
    bool,
    typer.Option(
        "--locate", help="Name the first layer of each file that departs from torch, on the golden images."
    ),
]


def validate(
    entry: EntryArgument,
    data: RunDataOption = None,
    locate: LocateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a draft's exported files against torch: structure, logits and agreement.

    A draft inside a run is validated on all images of the run's test split, and its report records the
    result; anything else on its golden images. "optimized %" is how far onnxruntime's graph optimizations
    move the logits, in percent of their standard deviation.
    After a file has failed, --locate compares it with torch layer by layer.
    (verify: a published entry against its own manifest; evaluate: accuracy on labelled images.)
    """
    from anas_zoo.pipeline.validate import validate as run

    if locate:
        _print_located(run(entry, data=data, locate=True), as_json)
        return

    reports = run(entry, data=data)
    if as_json:
        print_json({name: report.to_dict() for name, report in reports.items()})
        return
    print_table(
        ["file", "images", "batches", "logit diff", "agree %", "top-1 %", "optimized %", "ran in"],
        [
            [
                name,
                str(report.images),
                " ".join(map(str, report.batch_sizes)),
                f"{report.max_abs_logit_diff:.1e}",
                f"{report.top1_agreement_pct:.2f}",
                "-" if report.top1_pct is None else with_interval(report.top1_pct, report.images, unit=""),
                "-" if report.optimization_gap_pct is None else f"{report.optimization_gap_pct:.1g}",
                report.runtime or "-",
            ]
            for name, report in reports.items()
        ],
    )
    for name, report in reports.items():
        if report.not_run_here:
            print_lines(f"{name}: not run here on its own runtime: {report.not_run_here}")


def _print_located(found: dict[str, Located], as_json: bool) -> None:
    if as_json:
        print_json({name: asdict(one) for name, one in found.items()})
        return
    for name, one in found.items():
        print_table(
            [f"layer of {name}", "departs by %", "optimized %"],
            [[gap.layer, f"{gap.plain_pct:.2g}", f"{gap.optimized_pct:.2g}"] for gap in one.layers],
        )
        print_lines(f"{name}: {one.departure or 'no layer departs by more than rounding'}", "")
