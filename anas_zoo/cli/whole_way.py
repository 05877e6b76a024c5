"""``anas run``: the main job, from your own images to measured models beside a plain network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.demo import print_models
from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    InitOption,
    JsonOption,
    RecipeOption,
    SeedOption,
    SetOption,
)

LicenceOption = Annotated[
    str | None,
    typer.Option(
        "--licence",
        metavar="SPDX",
        help="Licence of the models, such as Apache-2.0. Without one they are not published.",
    ),
]


def _most(option: str, what: str) -> typer.models.OptionInfo:
    help_text = f"Most {what} of a model."
    found: typer.models.OptionInfo = typer.Option(option, min=0, metavar="X", help=help_text)
    return found


def run(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    data: DataOption = None,
    init: InitOption = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--beside",
            metavar="NAME",
            help="A network of timm's to compare with, such as resnet10t, or NAME:pretrained; repeatable.",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="NAME",
            help="A target that every model is exported for as well, such as litert-int8; repeatable. "
            "Milliseconds are of the first that this machine can time.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0, metavar="M", help="That the whole run may take. Default: 15."),
    ] = None,
    max_latency_ms: Annotated[
        float | None, _most("--max-latency-ms", "milliseconds for one image on one thread of this machine")
    ] = None,
    max_size_mb: Annotated[float | None, _most("--max-size-mb", "megabytes of float32 weights")] = None,
    max_mflops: Annotated[float | None, _most("--max-mflops", "million multiply-adds")] = None,
    max_mparams: Annotated[float | None, _most("--max-mparams", "million parameters")] = None,
    recipe: RecipeOption = None,
    seed: SeedOption = None,
    settings: SetOption = None,
    licence: LicenceOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Make the best small classifiers of your images, in the minutes that you give.

    Looks at the images, trains a plain network beside, trains and searches a supernet, trains what was found
    on, exports, checks and times it, and says which model to take. A run that was stopped resumes when the
    command is repeated, or with --out alone.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.pipeline.whole_way import run as whole_way

    result = whole_way(
        out,
        data=data,
        init=init,
        beside=beside,
        target=target,
        minutes=minutes,
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        max_mflops=max_mflops,
        max_mparams=max_mparams,
        recipe=recipe,
        seed=seed,
        set_=settings,
        licence=licence,
        device=device,
    )
    print_models(result, as_json=as_json)
