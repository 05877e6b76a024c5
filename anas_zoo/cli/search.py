"""``anas search``: a trained supernet, or a predictor alone -> evaluations and the front."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from anas_zoo.cli.derived import options_of
from anas_zoo.cli.options import DeviceOption, JsonOption, SeedOption
from anas_zoo.cli.search_output import print_outcome, print_outcome_json


@options_of(
    "anas_zoo.searching.recipe:SearchRecipe",
    algorithm="",
    limits="",
    latency="FILE",
    evaluations="",
    images_forwarded="",
    patience="ROUNDS",
    images="",
)
def search(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|SUPERNET",
            help="The folder of a run (see: anas train), or a supernet: a folder, hf-hub:org/name; or give "
            "--space.",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space", metavar="NAME|FILE", help="A search space, or a supernet's, without any weights."
        ),
    ] = None,
    predictor: Annotated[
        Path | None,
        typer.Option("--predictor", metavar="FILE", help="Take accuracies from a predictor (.onnx)."),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="COST",
            help="Weigh top-1 against macs, params, size_bytes or latency_ms; repeatable. "
            "Default: as the recipe says.",
        ),
    ] = None,
    num_classes: Annotated[
        int | None,
        typer.Option(
            "--num-classes", min=1, metavar="N", help="Of the classifier, with --space. Default: 1000."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="NAME|DIR",
            help="With a supernet, the images to search it on. With a run, where its images are now, if they "
            "moved; recorded in the run.",
        ),
    ] = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The search's folder; default RUN/search, SPACE_search. With a supernet, the new run's.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the search that is in the folder, if any.")
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Search the best subnets for any budget, by a supernet on held-out images or by a predictor.

    Options not given are as in the run's recipe. A supernet is searched as it is, by its own labels.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli search RUN ...; see docs/search.md.
    """
    from anas_zoo.pipeline.search import search as find

    outcome = find(
        run,
        space=space,
        predictor=predictor,
        objective=objective,
        num_classes=num_classes,
        data=data,
        seed=seed,
        out=out,
        resume=resume,
        device=device,
        **options,
    )
    if outcome is not None:
        print_outcome_json(outcome) if as_json else print_outcome(outcome, run)
