"""Stage: a trained supernet, or a predictor alone -> evaluations, the front, the best under budgets."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anas_zoo.files import canonical_json, sha256_bytes, sha256_file, write_json
from anas_zoo.pipeline.references import score_references
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_folder import begin_search
from anas_zoo.pipeline.search_page import write_page
from anas_zoo.pipeline.search_picture import draw_picture
from anas_zoo.pipeline.search_view import SearchView
from anas_zoo.pipeline.search_workers import evaluate_together
from anas_zoo.pipeline.train import HERE
from anas_zoo.profiling.latency_model import LatencyModel
from anas_zoo.progress import note
from anas_zoo.search import (
    Archive,
    Budget,
    Evaluation,
    Evaluator,
    PredictorEvaluator,
    Problem,
    SearchRecipe,
    SearchResult,
    SubnetEvaluator,
    check_limits,
    make_algorithm,
    run_search,
)
from anas_zoo.search.answer import Answer, Reference, answers_of
from anas_zoo.search.archive import EVALUATIONS, FRONT
from anas_zoo.space import AccuracyPredictor, SearchSpace
from anas_zoo.training import Workers

__all__ = ["SearchOutcome", "evaluated_on", "make_evaluator", "search_stage", "search_with_predictor"]

SEARCH = 2  # tells the uses of a run's seed apart


@dataclass(frozen=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        folder: where it lies.
        objectives: what its front weighs.
        front: from small to large.
        answers: the best under each asked budget.
        references: published models of the space, scored alike.
        result: every evaluation.
        extract: the command that extracts an architecture, with ``{arch_id}`` in it.
    """

    folder: Path
    objectives: tuple[str, ...]
    front: list[Evaluation]
    answers: list[Answer]
    references: list[Reference]
    result: SearchResult
    extract: str

    def extract_command(self, evaluation: Evaluation) -> str:
        """The command that extracts one architecture."""
        return self.extract.format(arch_id=evaluation.arch.id)


@dataclass(frozen=True)
class _Task:
    """A search that is about to run: everything that the two kinds of it differ in."""

    title: str
    problem: Problem
    recipe: SearchRecipe
    seed: int
    out: Path
    evaluator: Evaluator
    scored_by: dict[str, Any]  # becomes part of the search's identity
    scored_by_words: str
    again: str
    extract: str
    resume: bool
    budgets: Sequence[tuple[str, float]] = field(default_factory=tuple)


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
    workers: Workers = HERE,
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
        budgets: (cost, limit) of which the best are wanted.
        predictor: an ONNX file.
        workers: the processes that evaluate.

    Raises :class:`SearchError` when nothing is within the limits, when the folder holds another search, or
    when evaluations keep failing; :class:`OutputError` when the folder is taken.
    """
    recipe = recipe or run.recipe.search
    seed = run.recipe.seed if seed is None else seed
    folder = out or run.search_folder
    run.use_threads()
    classes = len(run.source.label_names)
    problem = make_problem(run.space, classes, recipe)
    where = "" if out is None else f" --search {shlex.quote(str(out))}"
    command = shlex.quote(str(run.folder))
    if predictor is not None:
        evaluator: Evaluator = PredictorEvaluator(AccuracyPredictor(predictor, run.space))
        scored_by = {"predictor_sha256": sha256_file(predictor)}
        words = f"predicted by {predictor.name}"
    else:
        run.supernet.to(workers.device)
        evaluator = make_evaluator(run, recipe)
        scored_by, words = _identity_of(run, recipe, evaluator), evaluated_on(run, recipe)
    task = _Task(
        title=run.recipe.name,
        problem=problem,
        recipe=recipe,
        seed=seed,
        out=folder,
        evaluator=evaluator,
        scored_by=scored_by,
        scored_by_words=words,
        again=f"anas search {command}{where.replace('--search', '--out')} --resume",
        extract=f"anas extract {command}{where} --arch {{arch_id}}",
        resume=resume,
        budgets=budgets,
    )
    with evaluate_together(evaluator, workers) as together:
        return None if together is None else _search(task, together)


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
) -> SearchOutcome:
    """Search ``space`` by a predictor's word alone: no weights, no images.

    The arguments are those of :func:`search_stage`.

    Raises as :func:`search_stage` does, and :class:`ConfigError` for a predictor of another space.
    """
    evaluator = PredictorEvaluator(AccuracyPredictor(predictor, space))
    task = _Task(
        title=space.name,
        problem=make_problem(space, num_classes, recipe),
        recipe=recipe,
        seed=seed,
        out=out,
        evaluator=evaluator,
        scored_by={"predictor_sha256": sha256_file(predictor)},
        scored_by_words=f"predicted by {predictor.name}",
        again=f"anas search --space {space.name} --predictor {shlex.quote(str(predictor))} "
        f"--out {shlex.quote(str(out))} --resume",
        extract=f"anas extract RUN --search {shlex.quote(str(out))} --arch {{arch_id}}",
        resume=resume,
        budgets=budgets,
    )
    return _search(task, evaluator)


def make_problem(space: SearchSpace, num_classes: int, recipe: SearchRecipe) -> Problem:
    """The problem of a recipe; its limits can be kept, or :class:`SearchError` says what is nearest."""
    latency = None
    if recipe.latency is not None:
        latency = LatencyModel.load(Path(recipe.latency), space)
        warning = latency.foreign()
        if warning is not None:
            note(f"warning: {warning}")
    problem = Problem(
        space,
        num_classes=num_classes,
        objectives=recipe.objectives,
        limits=recipe.limits,
        latency_ms=latency,
    )
    check_limits(problem, np.random.default_rng(0))
    return problem


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


def _search(task: _Task, evaluator: Evaluator) -> SearchOutcome:
    problem, recipe, space = task.problem, task.recipe, task.problem.space
    budget = Budget(recipe.evaluations, recipe.images_forwarded)
    budget.of(evaluator)  # refused before anything is written
    identity = {
        "format": 1,
        "settings": recipe.settings(),
        "seed": task.seed,
        "space": {"name": space.name, "id": space.id},
        "num_classes": problem.num_classes,
        "scored_by": task.scored_by,
        "latency_sha256": None if recipe.latency is None else sha256_file(Path(recipe.latency)),
    }
    begin_search(task.out, identity, resume=task.resume, again=task.again)
    algorithm = make_algorithm(problem, recipe, seed=[task.seed, SEARCH])
    with Archive(task.out / EVALUATIONS) as archive:
        result = run_search(algorithm, evaluator, archive, budget)
    references = score_references(problem, evaluator, result)
    front = problem.front(result.evaluations)
    answers = answers_of(problem.accepted(result.evaluations), task.budgets)
    spent = {
        "evaluations": result.count,
        "failures": len(result.failures),
        "images_forwarded": result.images_forwarded,
        "exhausted": result.exhausted,
    }
    outcome = SearchOutcome(task.out, problem.objectives, front, answers, references, result, task.extract)
    view = _view(task, outcome)
    draw_picture(task.out / "front.png", view)
    write_page(task.out / "front.html", view)
    write_json(  # last: with it the search is finished
        task.out / FRONT,
        identity
        | spent
        | {
            "front": [e.to_dict() for e in front],
            "answers": [answer.to_dict() for answer in answers],
            "references": [reference.to_dict() for reference in references],
        },
    )
    return outcome


def _view(task: _Task, outcome: SearchOutcome) -> SearchView:
    recipe, result, space = task.recipe, outcome.result, task.problem.space
    about = {
        "algorithm": recipe.algorithm,
        "seed": str(task.seed),
        "space": f"{space.name} ({space.id})",
        "accuracy": task.scored_by_words,
        "limits": recipe.limits.in_words() or "none",
        "evaluations": f"{result.count:,}, {len(result.failures)} of them failed",
        "images forwarded": f"{result.images_forwarded:,}",
    }
    return SearchView(
        title=f"{task.title}: {result.count:,} evaluated subnets",
        objectives=outcome.objectives,
        evaluations=result.evaluations,
        front=outcome.front,
        failures=len(result.failures),
        answers=outcome.answers,
        references=outcome.references,
        scored_by=task.scored_by_words,
        tested={},
        about=about,
        extract_command=task.extract,
    )
