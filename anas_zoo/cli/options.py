"""Arguments and options that several commands share, so that they are spelt and explained the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "DataOption",
    "EntryArgument",
    "JsonOption",
    "RecipeOption",
    "RunArgument",
    "SamplingOption",
    "SeedOption",
]

EntryArgument = Annotated[
    str, typer.Argument(metavar="ENTRY", help="A model of the shelf (see: anas list) or an entry's folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run (see: anas train).")]
RecipeOption = Annotated[
    str, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe that comes along, or a .yaml file.")
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="NAME|DIR", help="'digits', or a folder with a sub-folder per class."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, metavar="S", help="Seed of all choices.")]
SamplingOption = Annotated[
    str | None,
    typer.Option(
        "--sampling",
        metavar="bestup|worstup|uniform",
        help="Which subnets training attends to. Default: as the recipe says.",
    ),
]
