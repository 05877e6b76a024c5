"""``anas search``: a trained supernet -> evaluations and the front."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import JsonOption, RunArgument, SeedOption
from anas_zoo.cli.output import print_json, print_lines, print_table

__all__ = ["search"]


def search(
    run_folder: RunArgument,
    min_mflops: Annotated[
        float | None, typer.Option("--min-mflops", min=0, metavar="X", help="Least MFLOPs (multiply-adds).")
    ] = None,
    max_mflops: Annotated[
        float | None, typer.Option("--max-mflops", min=0, metavar="Y", help="Most MFLOPs (multiply-adds).")
    ] = None,
    evaluations: Annotated[
        int | None, typer.Option("--evaluations", min=1, metavar="N", help="Subnets to score at most.")
    ] = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A new folder; default is RUN/search.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search a run's supernet with evolution, scoring calibrated subnets on the search split."""
    from anas_zoo.pipeline import Run
    from anas_zoo.pipeline.search import search_stage

    run = Run.open(run_folder)
    recipe = run.recipe.search.with_limits(
        min_macs=None if min_mflops is None else round(min_mflops * 1e6),
        max_macs=None if max_mflops is None else round(max_mflops * 1e6),
        evaluations=evaluations,
    )
    front = search_stage(run, recipe=recipe, seed=seed, out=out)
    folder = out or run.search_folder
    if as_json:
        print_json({"folder": str(folder), "front": [item.to_dict() for item in front]})
        return
    print_table(
        ["architecture", "R", "MFLOPs", "params (k)", "top-1 % (search)"],
        [
            [
                item.arch.id,
                str(item.arch.resolution),
                f"{item.macs / 1e6:.3f}",
                f"{item.params / 1e3:.1f}",
                f"{item.top1_pct:.2f}",
            ]
            for item in front
        ],
    )
    print_lines(f"front, evaluations and picture: {folder}", f"  extract subnets: anas extract {run_folder}")
