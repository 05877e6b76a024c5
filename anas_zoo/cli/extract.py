"""``anas extract``: the front, or architectures by id -> drafts of fixed subnets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import RunArgument, RunDataOption
from anas_zoo.cli.output import print_lines
from anas_zoo.core.text import quoted


def extract(
    run: RunArgument,
    max_mflops: Annotated[
        list[float] | None,
        typer.Option(
            "--max-mflops",
            min=0,
            metavar="Y",
            help="The most accurate within Y MFLOPs; repeatable. Default: subnets spread over the front.",
        ),
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            metavar="ID|FILE",
            help="An architecture that the search evaluated, by the beginning of its id, or a .json file of "
            "one; repeatable. It is added to earlier extractions.",
        ),
    ] = None,
    search: Annotated[
        Path | None,
        typer.Option("--search", metavar="DIR", help="The search to extract from; default is RUN/search."),
    ] = None,
    data: RunDataOption = None,
) -> None:
    """Extract subnets of a search, calibrate, profile, and test them once on the test split."""
    from anas_zoo.pipeline.extract import extract as take_out

    drafts = take_out(run, max_mflops=max_mflops, arch=arch, search=search, data=data).drafts
    print_lines(
        *(f"extracted {draft}{_tested(draft)}" for draft in drafts),
        f"  next, with each: anas export {quoted(drafts[0])}; then anas validate, anas publish --to DIR",
    )


def _tested(draft: Path) -> str:
    from anas_zoo.entry import read_report

    found = read_report(draft).accuracy
    return "" if found is None else f": top-1 {found.top1} on {found.images} {found.split} images"
