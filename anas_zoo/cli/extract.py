"""``anas extract``: the front, or architectures by id -> drafts of fixed subnets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import RunArgument, RunDataOption
from anas_zoo.cli.output import print_lines
from anas_zoo.core.text import quoted

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
    from anas_zoo.core.errors import SearchError
    from anas_zoo.pipeline import Run
    from anas_zoo.pipeline.extract import evaluations_of, extract_more, extract_stage, find_architecture
    from anas_zoo.searching import best_under, pick_subnets

    if arch and max_mflops:
        raise SearchError("--arch and --max-mflops name architectures in two ways; give one of them")
    run = Run.open(run_folder, data)
    if arch:
        folder = search or run.search_folder
        names = extract_more(run, [find_architecture(text, folder, run.space, run_folder) for text in arch])
    elif max_mflops:
        evaluations = evaluations_of(run, search)
        best = {best_under(evaluations, round(limit * 1e6)) for limit in max_mflops}
        names = extract_stage(run, chosen=sorted(best, key=lambda item: item.macs), search=search)
    else:
        chosen = pick_subnets(evaluations_of(run, search), run.recipe.search.subnets)
        names = extract_stage(run, chosen=chosen, search=search)
    folders = [run.drafts_folder / name for name in names]
    print_lines(
        *(f"extracted {folder}" for folder in folders),
        f"  next, with each: anas export {quoted(folders[0])}; then anas validate, anas publish --to DIR",
    )
