"""The two kinds of searches: of a run's supernet, and of a space by a predictor's word alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anas_zoo.core.errors import SearchError
from anas_zoo.core.files import canonical_json, sha256_bytes, sha256_file
from anas_zoo.core.progress import warn
from anas_zoo.core.schema import parse
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.searching.folder import recorded_budgets, recorded_search
from anas_zoo.pipeline.searching.latency import SearchLatency, latency_of_search
from anas_zoo.pipeline.searching.task import SearchOutcome, SearchTask, run_task
from anas_zoo.pipeline.searching.workers import evaluate_together
from anas_zoo.pipeline.train import HERE
from anas_zoo.searching import (
    Evaluator,
    Limits,
    PredictorEvaluator,
    Problem,
    SearchRecipe,
    SubnetEvaluator,
    check_limits,
)
from anas_zoo.searching.limits import Range
from anas_zoo.searching.objectives import OBJECTIVES
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.training import Processes

__all__ = ["evaluated_on", "make_evaluator", "make_problem", "search_stage", "search_with_predictor"]


def make_evaluator(run: Run, recipe: SearchRecipe | None = None) -> SubnetEvaluator:
    """What scores subnets of this run: calibrated on training images, on the search split."""
    recipe = recipe or run.recipe.search
    images = run.search_images(recipe)
    return SubnetEvaluator(
        run.supernet,
        calibration=run.calibration_images,
        calibration_images=len(run.calibration_images.labels),
        images=images,
        labels=images.labels,
        batch_size=recipe.calibration_batch_size,
    )


def search_stage(
    run: Run,
    *,
    recipe: SearchRecipe | None = None,
    seed: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    budgets: Sequence[tuple[str, float]] = (),
    predictor: Path | None = None,
    workers: Processes = HERE,
) -> SearchOutcome | None:
    """Search a run's supernet into ``out`` (default ``RUN/search``).

    Every process of ``workers`` calls this; the first one searches and writes, the others evaluate for it and
    return None. With a ``predictor`` its word is taken in place of the supernet's accuracy.

    Args:
        run: with a trained supernet.
        recipe: of the search; default is the run's.
        seed: default is the run's.
        out: the search's folder.
        resume: go on with the search that is in it, if any.
        budgets: (cost, limit) of which the best are wanted; of a search that is resumed by default as before.
        predictor: an ONNX file.
        workers: the processes that evaluate.

    Raises :class:`SearchError` when nothing is within the limits, when the folder holds another search, or
    when evaluations keep failing; :class:`OutputError` when the folder is taken.
    """
    recipe = recipe or run.located.search
    seed = run.recipe.seed if seed is None else seed
    folder = out or run.search_folder
    run.use_threads()
    classes = len(run.source.label_names)
    kept = recorded_search(folder) if resume else None
    budgets = _asked(budgets, kept, recipe.limits, folder)
    latency = _latency(recipe, run.space, classes, kept, workers)
    problem = make_problem(run.space, classes, recipe, budgets, latency)
    where = "" if out is None else f" --search {shlex.quote(str(out))}"
    command = shlex.quote(str(run.folder))
    if predictor is not None:
        evaluator: Evaluator = _predicting(predictor, run.space)
        scored_by = {"predictor_sha256": sha256_file(predictor)}
        words = f"predicted by {predictor.name}"
    else:
        run.supernet.to(workers.device)
        evaluator = make_evaluator(run, recipe)
        scored_by, words = _identity_of(run, recipe, evaluator), evaluated_on(run, recipe)
    task = SearchTask(
        title=run.recipe.name,
        problem=problem,
        recipe=recipe,
        seed=seed,
        out=folder,
        scored_by=scored_by,
        scored_by_words=words,
        again=f"anas search {command}{where.replace('--search', '--out')} --resume",
        extract=f"anas extract {command}{where} --arch {{arch_id}}",
        resume=resume,
        latency=latency,
        predictor=None if predictor is None else str(predictor),
        budgets=budgets,
    )
    with evaluate_together(evaluator, workers) as together:
        return None if together is None else run_task(task, together)


def search_with_predictor(
    space: SearchSpace,
    predictor: Path,
    *,
    recipe: SearchRecipe,
    seed: int,
    out: Path,
    num_classes: int = 1000,
    resume: bool = False,
    budgets: Sequence[tuple[str, float]] = (),
    space_text: str | None = None,
) -> SearchOutcome:
    """Search ``space`` by a predictor's word alone: no weights, no images.

    The arguments are those of :func:`search_stage`, and ``space_text``: how the user named the space, for the
    commands that are printed.

    Raises as :func:`search_stage` does, and :class:`ConfigError` for a predictor of another space.
    """
    evaluator = _predicting(predictor, space)
    kept = recorded_search(out) if resume else None
    budgets = _asked(budgets, kept, recipe.limits, out)
    latency = _latency(recipe, space, num_classes, kept)
    task = SearchTask(
        title=space.name,
        problem=make_problem(space, num_classes, recipe, budgets, latency),
        recipe=recipe,
        seed=seed,
        out=out,
        scored_by={"predictor_sha256": sha256_file(predictor)},
        scored_by_words=f"predicted by {predictor.name}",
        again=f"anas search --space {shlex.quote(space_text or space.name)} --predictor "
        f"{shlex.quote(str(predictor))} "
        f"--out {shlex.quote(str(out))} --resume",
        extract=f"anas extract RUN --search {shlex.quote(str(out))} --arch {{arch_id}}",
        resume=resume,
        latency=latency,
        predictor=str(predictor),
        budgets=budgets,
    )
    return run_task(task, evaluator)


def _predicting(file: Path, space: SearchSpace) -> PredictorEvaluator:
    """A predictor as evaluator, with a warning where it does not speak of percent."""
    predictor = AccuracyPredictor(file, space)
    found = predictor([space.smallest, space.largest])
    if found.min() < 0 or found.max() > 100 or found.max() <= 1:
        warn(
            f"{file} says {found[0]:.4g} of the smallest and {found[1]:.4g} of the largest subnet, "
            "which looks like no top-1 in percent"
        )
    return PredictorEvaluator(predictor)


def make_problem(
    space: SearchSpace,
    num_classes: int,
    recipe: SearchRecipe,
    budgets: Sequence[tuple[str, float]] = (),
    latency: SearchLatency | None = None,
) -> Problem:
    """The problem of a recipe; its limits, and each budget alone, can be kept.

    Where one cannot, :class:`SearchError` says what is nearest. A limit of latency that no prediction keeps
    is judged by the bars of the predictions: it is refused only where even those do not reach it.
    """

    def within(limits: Limits, *, by_bars: bool = False) -> Problem:
        problem = Problem(
            space,
            num_classes=num_classes,
            objectives=recipe.objectives,
            limits=limits,
            latency_ms=latency,
            latency_bars=None if latency is None else latency.bars,
            by_bars=by_bars,
        )
        try:
            check_limits(problem, np.random.default_rng(0))
        except SearchError:
            if by_bars or problem.latency_bars is None or limits.latency_ms.open:
                raise
            problem = within(limits, by_bars=True)
            warn(
                f"nothing is predicted to have {limits.latency_ms.in_words('latency_ms')}, but some "
                "subnets may, by the bars of their predictions; those are taken: measure them (anas bench)"
            )
        return problem

    for cost, limit in budgets:
        data = recipe.limits.model_dump()
        if data[cost]["max"] == limit:
            continue
        data[cost]["max"] = limit
        within(parse(Limits, data, "the budgets", error=SearchError))
    return within(recipe.limits)


def _latency(
    recipe: SearchRecipe,
    space: SearchSpace,
    num_classes: int,
    kept: Mapping[str, Any] | None,
    workers: Processes = HERE,
) -> SearchLatency | None:
    if recipe.latency is None:
        return None
    return latency_of_search(Path(recipe.latency), space, num_classes, kept, workers)


def _asked(
    budgets: Sequence[tuple[str, float]], kept: Mapping[str, Any] | None, limits: Limits, folder: Path
) -> Sequence[tuple[str, float]]:
    """The budgets of this call; of a search that is resumed without any, those that it was asked before.

    Raises :class:`SearchError` for one beyond the limits, where a search that is resumed has not looked.
    """
    if kept is None:
        return budgets
    for cost, limit in budgets:
        most = getattr(limits, cost).max
        if most is not None and limit > most:
            raise SearchError(
                f"{folder} was searched with {Range(max=most).in_words(cost)}; a budget of "
                f"{OBJECTIVES[cost].shown(limit)} lies beyond that: give another --out"
            )
    return budgets or recorded_budgets(kept)


def _identity_of(run: Run, recipe: SearchRecipe, evaluator: Evaluator) -> dict[str, Any]:
    split = canonical_json(run.split.model_dump(mode="json"))
    return {
        "supernet_sha256": sha256_file(run.supernet_file),
        "split": "search",
        "split_sha256": sha256_bytes(split.encode()),
        "images": evaluator.images // recipe.views,
        "views": recipe.views,
        "calibration_images": evaluator.images_forwarded - evaluator.images,
        "calibration_batch_size": recipe.calibration_batch_size,
    }


def evaluated_on(run: Run, recipe: SearchRecipe | None = None) -> str:
    """In words, the images that a search of the run's supernet scores on."""
    recipe = recipe or run.recipe.search
    images = min(recipe.images or len(run.split.search), len(run.split.search))
    views = "" if recipe.views == 1 else f" in {recipe.views} views"
    return f"search split, {images} images{views}"
