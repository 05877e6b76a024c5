"""``anas extract``: the front -> drafts of fixed subnets."""

from __future__ import annotations

from typing import Annotated

import typer

from anas_zoo.cli.options import RunArgument
from anas_zoo.cli.output import print_lines

__all__ = ["extract"]


def extract(
    run_folder: RunArgument,
    max_mflops: Annotated[
        list[float] | None,
        typer.Option(
            "--max-mflops",
            min=0,
            metavar="Y",
            help="The most accurate within Y MFLOPs; repeatable. Default: subnets spread over the front.",
        ),
    ] = None,
) -> None:
    """Extract subnets of a search, calibrate, profile, and test them once on the test split."""
    from anas_zoo.pipeline import Run
    from anas_zoo.pipeline.extract import extract_stage
    from anas_zoo.search import best_under
    from anas_zoo.search.archive import read_evaluations

    run = Run.open(run_folder)
    chosen = None
    if max_mflops:
        evaluations = read_evaluations(run.search_folder / "evaluations.jsonl")
        best = {best_under(evaluations, round(limit * 1e6)) for limit in max_mflops}
        chosen = sorted(best, key=lambda item: item.macs)
    names = extract_stage(run, chosen=chosen)
    folders = [run.drafts_folder / name for name in names]
    print_lines(
        *(f"extracted {folder}" for folder in folders), f"  next: anas export {folders[0]}, validate, publish"
    )
