"""Arguments and options that several commands share, so that they are spelt and explained the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EntryArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENTRY", help="A model of the shelf (see: anas list), a folder, or hf://org/name."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="NAME", help="Which exported file. Default: model.onnx."),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run (see: anas train).")]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME|FILE",
        help="A bundled recipe, or a .yaml file. Default: that of the run in --out; of a new one "
        "pretrained with --init, own_images with --data DIR, else digits.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|DIR",
        help="'digits', 'glyphs', a folder of images, hfds/NAME or wds/DIR; see docs/training.md.",
    ),
]
RunDataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME|DIR",
        help="Where the run's images are now, if they moved; recorded in the run.",
    ),
]
InitOption = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="SUPERNET",
        help="Pretrained weights to start from: a supernet's folder, a run, hf-hub:org/name, or timm/NAME.",
    ),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, metavar="S", help="Seed of all choices.")]
SamplingOption = Annotated[
    str | None,
    typer.Option(
        "--sampling",
        metavar="STRATEGY",
        help="bestup, worstup, uniform, spos, fairnas or ofa. Default: as the recipe says.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any value of the recipe, such as train.epochs=10; repeatable.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Resume from the latest checkpoint, if any.")]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|cuda", help="Where to compute; auto takes a GPU if there is one."
    ),
]
