"""The work of a search: scores, the folder, the front, its picture and page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anas_zoo.core.errors import SearchError
from anas_zoo.core.extras import skipped_without_extra
from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.hints import Call, Option, Part
from anas_zoo.core.progress import warn
from anas_zoo.core.schema import parse
from anas_zoo.core.stopping import resumable
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_folder import begin_search, recorded_budgets, recorded_search
from anas_zoo.pipeline.search_latency import LATENCY_HERE, SearchLatency, latency_of_search
from anas_zoo.pipeline.search_processes import evaluate_together
from anas_zoo.pipeline.search_scoring import Scoring, measuring, predicting
from anas_zoo.pipeline.search_view import SearchView, draw_picture, write_page
from anas_zoo.pipeline.train import HERE
from anas_zoo.searching import (
    Archive,
    Budget,
    Evaluation,
    Evaluator,
    Limits,
    Problem,
    Range,
    SearchRecipe,
    SearchResult,
    check_limits,
    make_algorithm,
    run_search,
)
from anas_zoo.searching.archive import EVALUATIONS, FRONT
from anas_zoo.searching.front import Answer, Baseline, answers_of
from anas_zoo.searching.objectives import OBJECTIVES
from anas_zoo.searching.runner import records_of
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes
from anas_zoo.zoo.published import load_published

SEARCH = 2  # tells the uses of a run's seed apart


@dataclass(frozen=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        folder: where it lies.
        objectives: what its front weighs.
        front: from small to large.
        answers: the best under each asked budget.
        baselines: published models of the space, scored alike.
        result: every evaluation.
        extract: what extracts the architecture of an id.
        latency: what its latencies are, where it works with a model of them.
    """

    folder: Path
    objectives: tuple[str, ...]
    front: list[Evaluation]
    answers: list[Answer]
    baselines: list[Baseline]
    result: SearchResult
    extract: Callable[[str], Call]
    latency: SearchLatency | None = None


@dataclass(frozen=True)
class _Task:
    """A search that is about to run, by a supernet or by a predictor.

    Attributes:
        title: of its picture.
        again: what resumes it.
        extract: what extracts the architecture of an id.
        scoring: makes what scores architectures.
    """

    title: str
    space: SearchSpace
    num_classes: int
    recipe: SearchRecipe
    seed: int
    out: Path
    resume: bool
    budgets: Sequence[tuple[str, float]]
    predictor: Path | None
    again: Call
    extract: Callable[[str], Call]
    scoring: Callable[[], Scoring]


def search_stage(
    run: Run,
    *,
    recipe: SearchRecipe | None = None,
    seed: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    budgets: Sequence[tuple[str, float]] = (),
    predictor: Path | None = None,
    processes: Processes = HERE,
) -> SearchOutcome | None:
    """Search a run's supernet into ``out`` (default ``RUN/search``).

    Every process of ``processes`` calls this; the first one searches and writes, the others evaluate for it
    and return None. With a ``predictor`` its prediction replaces the supernet's accuracy.

    Args:
        run: with a trained supernet.
        recipe: of the search; default is the run's.
        seed: default is the run's.
        out: the search's folder.
        resume: resume the search that is in it, if any.
        budgets: (cost, limit) of which the best are wanted; of a search that is resumed by default as before.
        predictor: an ONNX file.
        processes: the processes that evaluate.

    Raises :class:`SearchError` when nothing is within the limits, when the folder holds another search, or
    when evaluations keep failing; :class:`OutputError` when the folder is taken.
    """
    recipe = recipe or run.located.search
    run.use_threads()

    def scoring() -> Scoring:
        if predictor is not None:
            return predicting(predictor, run.space)
        run.supernet.to(processes.device)
        return measuring(run, recipe)

    task = _Task(
        title=run.recipe.name,
        space=run.space,
        num_classes=len(run.source.label_names),
        recipe=recipe,
        seed=run.recipe.seed if seed is None else seed,
        out=out or run.search_folder,
        resume=resume,
        budgets=budgets,
        predictor=predictor,
        again=Call("search", run.folder, out=out, resume=True),
        extract=lambda arch_id: Call("extract", run.folder, search=out, arch=arch_id),
        scoring=scoring,
    )
    return _run(task, processes)


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
    """Search ``space`` by a predictor alone: no weights, no images.

    The arguments are those of :func:`search_stage`, and ``space_text``: how the user named the space, for the
    commands that are printed.

    Raises as :func:`search_stage` does, and :class:`ConfigError` for a predictor of another space.
    """
    named = space_text or space.name
    task = _Task(
        title=space.name,
        space=space,
        num_classes=num_classes,
        recipe=recipe,
        seed=seed,
        out=out,
        resume=resume,
        budgets=budgets,
        predictor=predictor,
        again=Call("search", space=named, predictor=predictor, out=out, resume=True),
        extract=lambda arch_id: Call("extract", "RUN", search=out, arch=arch_id),
        scoring=lambda: predicting(predictor, space),
    )
    outcome = _run(task, HERE)
    assert outcome is not None  # one process alone is the first
    return outcome


def _run(task: _Task, processes: Processes) -> SearchOutcome | None:
    recipe = task.recipe
    kept = recorded_search(task.out) if task.resume else None
    budgets = _asked(task.budgets, kept, recipe.limits, task.out)
    latency = None
    if recipe.latency is not None:
        latency = latency_of_search(Path(recipe.latency), task.space, task.num_classes, kept, processes)
    problem = make_problem(task.space, task.num_classes, recipe, budgets, latency)
    scoring = task.scoring()
    with evaluate_together(scoring.evaluator, processes) as evaluator:
        if evaluator is None:
            return None
        return _search(task, problem, budgets, latency, scoring, evaluator)


def _search(
    task: _Task,
    problem: Problem,
    budgets: Sequence[tuple[str, float]],
    latency: SearchLatency | None,
    scoring: Scoring,
    evaluator: Evaluator,
) -> SearchOutcome:
    """Search, and write down what was found. Raises as :func:`anas_zoo.searching.run_search` does."""
    recipe, space = task.recipe, task.space
    budget = Budget(recipe.evaluations, recipe.images_forwarded, recipe.patience)
    budget.of(evaluator)  # refused before anything is written
    identity = {
        "format": 1,
        "settings": recipe.settings(),
        "seed": task.seed,
        "space": {"name": space.name, "id": space.id},
        "num_classes": problem.num_classes,
        "scored_by": scoring.identity,
        "latency_sha256": None if recipe.latency is None else sha256_file(Path(recipe.latency)),
    }
    if latency is not None and latency.here is not None:
        identity[LATENCY_HERE] = latency.here.model_dump(mode="json")
    begun_with = {
        "evaluations": recipe.evaluations,
        "images_forwarded": recipe.images_forwarded,
        "patience": recipe.patience,
        "images": recipe.images,
        # As a later call finds them, from whatever folder.
        "latency": None if recipe.latency is None else str(Path(recipe.latency).absolute()),
        "predictor": None if task.predictor is None else str(task.predictor.absolute()),
        "budgets": [list(budget) for budget in budgets],
    }
    begin_search(task.out, identity, begun_with, resume=task.resume, again=task.again)
    algorithm = make_algorithm(problem, recipe, seed=[task.seed, SEARCH])
    with resumable(lambda: _resuming(task)), Archive(task.out / EVALUATIONS) as archive:
        result = run_search(algorithm, evaluator, archive, budget)
    outcome = SearchOutcome(
        folder=task.out,
        objectives=problem.objectives,
        front=problem.front(result.evaluations),
        answers=answers_of(problem.accepted(result.evaluations), budgets),
        baselines=_score_baselines(problem, evaluator, result),
        result=result,
        extract=task.extract,
        latency=latency,
    )
    view = _view(task, outcome, scoring.words)
    with skipped_without_extra("front.png and front.html"):
        draw_picture(task.out / "front.png", view)
        write_page(task.out / "front.html", view)
    spent = {
        "evaluations": result.count,
        "failures": len(result.failures),
        "images_forwarded": result.images_forwarded,
        "exhausted": result.exhausted,
        "settled": result.settled,
    }
    found = {
        "front": [e.to_dict() for e in outcome.front],
        "answers": [answer.to_dict() for answer in outcome.answers],
        "baselines": [baseline.to_dict() for baseline in outcome.baselines],
    }
    write_json(task.out / FRONT, identity | spent | found)  # last: with it the search is finished
    return outcome


def _resuming(task: _Task) -> tuple[Part, ...]:
    with (task.out / EVALUATIONS).open("rb") as file:
        kept = sum(1 for _ in file)
    return (f"resume after {kept} evaluations with: ", task.again)


def _score_baselines(problem: Problem, evaluator: Evaluator, result: SearchResult) -> list[Baseline]:
    """a0 to a6 and AlphaNet's two, in a space that has them; none in any other.

    What the search has evaluated already is not evaluated again.
    """
    published = load_published()
    if problem.space.id != SearchSpace.load(published.space_of(published.models[0])).id:
        return []
    archs = {model.name: model.architecture for model in published.models}
    known = {e.arch: e for e in result.evaluations}
    missing = [arch for arch in archs.values() if arch not in known]
    for start in range(0, len(missing), evaluator.at_once):
        part = missing[start : start + evaluator.at_once]
        made = records_of(problem, evaluator, part, round_=0)
        known |= {record.arch: record for record in made if isinstance(record, Evaluation)}
    return [
        Baseline(model.name, known[archs[model.name]], dict(model.top1_pct))
        for model in published.models
        if archs[model.name] in known
    ]


def _view(task: _Task, outcome: SearchOutcome, scored_by: str) -> SearchView:
    recipe, result, space = task.recipe, outcome.result, task.space
    about = {
        "algorithm": recipe.algorithm,
        "seed": str(task.seed),
        "space": f"{space.name} ({space.id})",
        "accuracy": scored_by,
        "limits": recipe.limits.in_words() or "none",
        "evaluations": f"{result.count:,}, {len(result.failures)} of them failed",
        "images forwarded": f"{result.images_forwarded:,}",
    }
    if outcome.latency is not None:
        about["latency"] = outcome.latency.in_words()
    return SearchView(
        title=f"{task.title}: {result.count:,} evaluated subnets",
        objectives=outcome.objectives,
        evaluations=result.evaluations,
        front=outcome.front,
        failures=len(result.failures),
        answers=outcome.answers,
        baselines=outcome.baselines,
        scored_by=scored_by,
        about=about,
        extract=task.extract,
    )


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
                "subnets may, by the bars of their predictions; these are used: measure them"
            )
        return problem

    for cost, limit in budgets:
        data = recipe.limits.model_dump()
        if data[cost]["max"] == limit:
            continue
        data[cost]["max"] = limit
        within(parse(Limits, data, "the budgets", error=SearchError))
    return within(recipe.limits)


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
                f"{OBJECTIVES[cost].shown(limit)} is beyond that: give another ",
                Option("out"),
            )
    return budgets or recorded_budgets(kept)
