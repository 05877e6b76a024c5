"""``anas train``: images and a recipe -> a trained supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anas_zoo.cli.options import DataOption, RecipeOption, SamplingOption, SeedOption
from anas_zoo.cli.output import print_lines

__all__ = ["train"]


def train(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="The run's new folder.")],
    recipe: RecipeOption = "digits",
    data: DataOption = None,
    seed: SeedOption = None,
    sampling: SamplingOption = None,
) -> None:
    """Split the images and train the supernet, into the folder of a new run."""
    from anas_zoo.files import refuse_occupied
    from anas_zoo.pipeline import Recipe, Run
    from anas_zoo.pipeline.train import train_stage

    run = Run.start(out, Recipe.load(recipe, data=data, seed=seed, sampling=sampling))
    refuse_occupied(run.supernet_folder)
    train_stage(run)
    print_lines(f"trained {run.supernet_file}", f"  search it: anas search {out}")
