"""The search of a whole run: by latency where that is weighed, within its share of the minutes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from anas_zoo.core.progress import note
from anas_zoo.exporting import DEFAULT_TARGET, Target, list_targets
from anas_zoo.exporting.runtimes import is_timed_here
from anas_zoo.pipeline.latency import fit_latency
from anas_zoo.pipeline.minutes import Minutes
from anas_zoo.pipeline.recipe import Recipe
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_scoring import make_evaluator
from anas_zoo.pipeline.search_stage import make_problem, search_stage
from anas_zoo.pipeline.train import HERE
from anas_zoo.profiling.work import WORK
from anas_zoo.searching import Range, SearchRecipe
from anas_zoo.training import Processes

LATENCY = {"subnets": len(WORK) + 8, "held_out": 8, "repeats": 40}
FEWEST = 12  # evaluations of a search, however short its time is
MEASURED = 3


def search_run(run: Run, minutes: Minutes | None, processes: Processes = HERE) -> None:
    """Search the run's supernet into ``RUN/search``; a search that was stopped there resumes.

    Where latency is weighed or limited and the recipe names no model of it, one of this machine is fitted
    first and kept in ``RUN/latency.json``; a space too small to fit one is searched by multiply-adds. With
    ``minutes`` as many subnets are evaluated as there is time for, at most those of the recipe.
    """
    run.use_threads()
    recipe = run.located.search
    if run.space.size < LATENCY["subnets"] + LATENCY["held_out"]:
        recipe = recipe.without_latency()
    if recipe.latency is None and weighs_latency(recipe):
        if not run.latency_file.is_file():
            _fit(run)
        recipe = recipe.changed(latency=str(run.latency_file))
    if minutes is not None:
        within = minutes.decided("search", lambda: _evaluations(run, recipe, minutes))
        recipe = recipe.changed(evaluations=within["evaluations"])
    found = search_stage(run, recipe=recipe, resume=True, processes=processes)
    if found is not None and found.result.settled:
        note(f"  the front hardly moves any more: enough after {found.result.count} evaluations")


def check_reachable(run: Run) -> None:
    """Raise :class:`SearchError`, before anything is trained, where no subnet is within the limits of costs.

    What latency a subnet has is known only once this machine was measured.
    """
    recipe = run.recipe.search
    limits = recipe.limits.model_copy(update={"latency_ms": Range()})
    priced = tuple(name for name in recipe.objectives if name != "latency_ms")
    objectives = priced if len(priced) > 1 else ("top1_pct", "macs")
    without = recipe.model_copy(update={"limits": limits, "objectives": objectives, "latency": None})
    make_problem(run.space, len(run.source.label_names), without)


def weighs_latency(recipe: SearchRecipe) -> bool:
    """Whether latency is an objective of ``recipe`` or limited."""
    return "latency_ms" in recipe.objectives or not recipe.limits.latency_ms.open


def timed_target(recipe: Recipe) -> Target:
    """The target whose files' milliseconds count in a run.

    It is the first that ``recipe`` names of those that this machine can time, else the default one.
    """
    named = (Target.load(name) for name in recipe.targets if name in list_targets())
    return next(filter(is_timed_here, named), Target.load(DEFAULT_TARGET))


def _fit(run: Run) -> None:
    target = timed_target(run.recipe)
    note(f"  measure the latency of subnets on this machine, as {target.name} files")
    with tempfile.TemporaryDirectory() as work:
        model = fit_latency(
            run.space,
            Path(work),
            num_classes=len(run.source.label_names),
            target=target.name,
            subnets=LATENCY["subnets"],
            held_out=LATENCY["held_out"],
            repeats=LATENCY["repeats"],
            seed=run.recipe.seed,
        )
    model.save(run.latency_file)


def _evaluations(run: Run, recipe: SearchRecipe, minutes: Minutes) -> dict[str, float]:
    """How many subnets can be evaluated in what is left of the search's time, by what a few take."""
    evaluator = make_evaluator(run, recipe)
    codes = run.space.sample_codes(np.random.default_rng([run.recipe.seed, 5]), MEASURED)
    evaluator(run.space.decode(codes[:1]))  # reads the images
    began = time.perf_counter()
    evaluator(run.space.decode(codes))
    each = (time.perf_counter() - began) / MEASURED
    count = round(minutes.seconds_for("search") / each)
    return {"evaluation_s": each, "evaluations": max(FEWEST, min(count, recipe.evaluations))}
