"""``anas run``: the whole way for your own images, from a trained supernet's weights if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.demo import LicenceOption, print_models
from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    InitOption,
    JsonOption,
    RecipeOption,
    SamplingOption,
    SeedOption,
    SetOption,
)


def run(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    init: InitOption = None,
    recipe: RecipeOption = None,
    data: DataOption = None,
    seed: SeedOption = None,
    sampling: SamplingOption = None,
    settings: SetOption = None,
    licence: LicenceOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a supernet on your images, search it, and publish verified models: every stage in one go.

    A run that was stopped resumes when the command is repeated, or with --out alone: at its first unfinished
    stage, a training from its latest checkpoint.
    """
    from anas_zoo.core.progress import Bar

    with Bar("load torch"):
        from anas_zoo.pipeline.demo import run as whole_way

    result = whole_way(
        out,
        init=init,
        recipe=recipe,
        data=data,
        seed=seed,
        sampling=sampling,
        set_=settings,
        licence=licence,
        device=device,
    )
    print_models(result, as_json=as_json)
