"""``anas search``: a trained supernet, or a predictor alone -> evaluations and the front."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anas_zoo.cli.derived import options_of
from anas_zoo.cli.options import DeviceOption, JsonOption, RunDataOption, SeedOption
from anas_zoo.cli.search_output import print_outcome, print_outcome_json

if TYPE_CHECKING:
    from anas_zoo.pipeline.search import SearchOutcome

__all__ = ["search"]

BEFORE = ("evaluations", "images_forwarded", "images")  # what a stopped search had been given
FILES = {"latency": "latency model", "predictor": "predictor"}  # of those and of its evaluator
PREDICTED = {"algorithm": "nsga2", "evaluations": 10_000}


@options_of(
    "anas_zoo.searching.recipe:SearchRecipe",
    algorithm="",
    limits="",
    latency="FILE",
    evaluations="",
    images_forwarded="",
    images="",
)
def search(
    run_folder: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="The folder of a run (see: anas train); or give --space."),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", metavar="NAME|FILE", help="A search space, without any weights.")
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
            help="Weigh top-1 against macs, params, size_bytes or latency_ms; repeatable. Default: macs.",
        ),
    ] = None,
    num_classes: Annotated[
        int | None,
        typer.Option(
            "--num-classes", min=1, metavar="N", help="Of the classifier, with --space. Default: 1000."
        ),
    ] = None,
    data: RunDataOption = None,
    seed: SeedOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The search's folder; default RUN/search, SPACE_search."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the search that is in the folder, if any.")
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Search the best subnets for any budget, by a run's supernet on the search split or by a predictor.

    Options not given are as in the run's recipe.

    Several GPUs or machines: torchrun --nproc-per-node N -m anas_zoo.cli search RUN ...; see docs/search.md.
    """
    from anas_zoo.core.errors import SearchError
    from anas_zoo.core.progress import silence
    from anas_zoo.pipeline import Run
    from anas_zoo.pipeline.search import search_stage, search_with_predictor
    from anas_zoo.pipeline.search_folder import BEGUN_WITH, recorded_search
    from anas_zoo.searching import SearchRecipe
    from anas_zoo.searching.objectives import OBJECTIVES
    from anas_zoo.space import SearchSpace
    from anas_zoo.training import join_processes

    found = None if space is None else SearchSpace.load(space)
    folder = out or (Path("search") if found is None else Path(f"{found.name}_search"))
    if out is None and run_folder is not None:
        folder = run_folder / "search"
    latency = None if options["latency"] is None else Path(options["latency"])
    kept = recorded_search(folder) if resume else None
    if kept is not None:  # a search that is resumed needs nothing said twice
        seed = kept["seed"] if seed is None else seed
        files = _files(kept[BEGUN_WITH], folder, {"latency": latency, "predictor": predictor})
        latency, predictor = files["latency"], files["predictor"]
    _one_subject(run_folder, space, predictor)
    if run_folder is not None and num_classes is not None:
        raise SearchError(f"{run_folder} has its own classes; --num-classes goes with --space")
    if run_folder is None and data is not None:
        raise SearchError("a predictor alone needs no images; --data goes with the folder of a run")
    asked = {
        name: (options.get(f"min_{cost.keyword}"), options.get(f"max_{cost.keyword}") or (), cost.per_shown)
        for name, cost in OBJECTIVES.items()
    }
    budgets = [(name, y * unit) for name, (_, most, unit) in asked.items() for y in dict.fromkeys(most)]
    for name, (least, most, _) in asked.items():
        if least is not None and most and min(most) < least:
            raise SearchError(
                f"{OBJECTIVES[name].title} at least {least:g} and at most {min(most):g}: no subnet has that"
            )

    def changed(recipe: SearchRecipe) -> SearchRecipe:
        if predictor is not None:
            recipe = recipe.changed(**PREDICTED)
        if kept is not None:
            recipe = recipe.changed(**({key: kept[BEGUN_WITH].get(key) for key in BEFORE} | kept["settings"]))
        limits = recipe.limits.model_dump()
        for name, (least, most, unit) in asked.items():
            if least is not None:
                limits[name]["min"] = least * unit
            if most and kept is None:  # of a search that is resumed they ask anew, within its limits
                limits[name]["max"] = max(most) * unit
        if options["resolution"] is not None:
            limits["resolution"] = options["resolution"]
        return recipe.changed(
            algorithm=options["algorithm"],
            objectives=None if not objective else _objectives(objective),
            limits=limits,
            latency=None if latency is None else str(latency),
            **{key: options[key] for key in BEFORE},
        )

    if run_folder is None:
        assert found is not None
        assert predictor is not None
        outcome: SearchOutcome | None = search_with_predictor(
            found,
            predictor,
            recipe=changed(SearchRecipe()),
            seed=seed or 0,
            out=folder,
            num_classes=num_classes or (kept["num_classes"] if kept is not None else 1000),
            resume=resume,
            budgets=budgets,
            space_text=space,
        )
    else:
        with join_processes(device) as workers:
            if not workers.first:
                silence()
            run = Run.open(run_folder, data, remember=workers.first)
            outcome = search_stage(
                run,
                recipe=changed(run.located.search),
                seed=seed,
                out=out,
                resume=resume,
                budgets=budgets,
                predictor=predictor,
                workers=workers,
            )
    if outcome is not None:
        print_outcome_json(outcome) if as_json else print_outcome(outcome, run_folder)


def _files(begun_with: dict[str, Any], folder: Path, given: dict[str, Path | None]) -> dict[str, Path | None]:
    """The files of a search that is resumed: what is ``given`` now, else what it was begun with."""
    from anas_zoo.core.errors import SearchError

    files = dict(given)
    for option, what in FILES.items():
        if given[option] is None and begun_with.get(option):
            files[option] = path = Path(begun_with[option])
            if not path.is_file():
                raise SearchError(
                    f"{path}, the {what} of the search in {folder}, is not there any more; say where it is "
                    f"now: --{option} FILE"
                )
    return files


def _one_subject(run_folder: Path | None, space: str | None, predictor: Path | None) -> None:
    from anas_zoo.core.errors import SearchError

    if run_folder is None and (space is None or predictor is None):
        raise SearchError(
            "nothing to search: give the folder of a run (anas search RUN), or a space and a predictor "
            "(anas search --space attentive_nas --predictor FILE)"
        )
    if run_folder is not None and space is not None:
        raise SearchError(f"{run_folder} has its own space; give RUN or --space {space}, not both")


def _objectives(costs: list[str]) -> list[str]:
    from anas_zoo.core.errors import SearchError, nearest
    from anas_zoo.searching.objectives import COSTS

    for cost in costs:
        if cost not in COSTS:
            hint = nearest(cost, COSTS) or f"; costs: {', '.join(COSTS)}"
            raise SearchError(f"--objective {cost}: no such cost{hint}")
    return ["top1_pct", *dict.fromkeys(costs)]
