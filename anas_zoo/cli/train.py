"""``anas train``: images and a recipe -> a trained supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from anas_zoo.cli.options import (
    DataOption,
    DeviceOption,
    RecipeOption,
    ResumeOption,
    SamplingOption,
    SeedOption,
    SetOption,
)
from anas_zoo.cli.output import print_lines
from anas_zoo.core.hints import Call, Option

__all__ = ["train"]


def train(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's folder.")],
    recipe: RecipeOption = None,
    data: DataOption = None,
    seed: SeedOption = None,
    sampling: SamplingOption = None,
    settings: SetOption = None,
    resume: ResumeOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Split the images and train the supernet, into the folder of a new run.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli train ...; see docs/training.md.
    """
    from anas_zoo.cli.default_recipe import about_recipe
    from anas_zoo.cli.resuming import resumable_run
    from anas_zoo.core.errors import OutputError
    from anas_zoo.core.progress import silence
    from anas_zoo.core.text import quoted
    from anas_zoo.data import Share
    from anas_zoo.pipeline import Recipe, Run
    from anas_zoo.pipeline.recipe import default_recipe
    from anas_zoo.pipeline.run_folder import MARKER
    from anas_zoo.pipeline.train import train_stage
    from anas_zoo.training import join_processes

    changes: dict[str, Any] = {"data": data, "seed": seed, "sampling": sampling, "settings": settings}
    about = None
    again = Call("train", out=out, resume=True)
    with resumable_run(out, again, "supernet"), join_processes(device) as workers:
        if not workers.first:
            silence()
            workers.wait()  # the first process makes the folder
            run = Run.open(out)
        else:
            name = recipe or default_recipe(data, settings)
            if resume and (out / MARKER).is_file():
                wanted = Run.recipe_for(out, recipe, **changes)
            else:
                wanted = Recipe.load(name, **changes)
                about = None if recipe else about_recipe(name)
            Share(wanted.train.batch_size, workers.count, 0, wanted.train.accumulation).check()
            run = Run.start(out, wanted)
            if not resume and run.supernet_file.exists():
                raise OutputError(
                    f"{out} already holds a trained supernet; search it: ",
                    Call("search", out),
                    "; or give another ",
                    Option("out"),
                )
            if run.training_folder.exists() and not resume:
                raise OutputError(
                    f"{out} holds a training that was stopped; resume it: ",
                    again,
                    f"; or begin anew after: rm -r {quoted(out)}",
                )
            workers.wait()
        if not run.supernet_file.exists():  # a resumed job may have been finished before
            train_stage(run, workers, about=about)
        if workers.first:
            print_lines(f"trained {run.supernet_file}", f"  search it: anas search {quoted(out)}")
