"""``anas train``: images and a recipe -> a trained supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    InitOption,
    RecipeOption,
    ResumeOption,
    SamplingOption,
    SeedOption,
    SetOption,
)
from anas_zoo.cli.output import first_process, print_lines
from anas_zoo.core.text import quoted


def train(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    recipe: RecipeOption = None,
    data: DataOption = None,
    seed: SeedOption = None,
    sampling: SamplingOption = None,
    settings: SetOption = None,
    init: InitOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Split the images and train the supernet, into the folder of a new run.

    With --init it starts from the weights of a trained supernet, with a new head for the images' classes.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli train ...; see docs/training.md.
    """
    from anas_zoo.pipeline.train import train as run

    trained = run(
        out,
        recipe=recipe,
        data=data,
        seed=seed,
        sampling=sampling,
        set_=settings,
        init=init,
        resume=resume,
        device=device,
    )
    if first_process():
        print_lines(f"trained {trained.supernet}", f"  search it: anas search {quoted(out)}")
