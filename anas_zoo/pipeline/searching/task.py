"""One search from its beginning to what is to be seen of it, whatever scores the architectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anas_zoo.core.files import sha256_file, write_json
from anas_zoo.core.hints import Part
from anas_zoo.core.stopping import resumable
from anas_zoo.pipeline.search_view import SearchView, draw_picture, write_page
from anas_zoo.pipeline.searching.folder import begin_search
from anas_zoo.pipeline.searching.latency import LATENCY_HERE, SearchLatency
from anas_zoo.pipeline.searching.references import score_references
from anas_zoo.searching import (
    Archive,
    Budget,
    Evaluation,
    Evaluator,
    Problem,
    SearchRecipe,
    SearchResult,
    make_algorithm,
    run_search,
)
from anas_zoo.searching.answer import Answer, Reference, answers_of
from anas_zoo.searching.archive import EVALUATIONS, FRONT

__all__ = ["SearchOutcome", "SearchTask", "run_task"]

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
        latency: what its latencies are, where it works with a model of them.
    """

    folder: Path
    objectives: tuple[str, ...]
    front: list[Evaluation]
    answers: list[Answer]
    references: list[Reference]
    result: SearchResult
    extract: str
    latency: SearchLatency | None = None

    def extract_command(self, evaluation: Evaluation) -> str:
        """The command that extracts one architecture."""
        return self.extract.format(arch_id=evaluation.arch.id)


@dataclass(frozen=True)
class SearchTask:
    """A search that is about to run.

    Attributes:
        title: of its picture.
        problem: what is searched.
        recipe: how.
        seed: of all its choices.
        out: its folder.
        scored_by: what decides the scores, as plain data; part of the search's identity.
        scored_by_words: the same for people.
        again: the command that goes on with it.
        extract: the command that extracts an architecture, with ``{arch_id}`` in it.
        resume: whether to go on with what is in the folder.
        latency: of its architectures, if it works with one.
        predictor: the file that scores, if one does.
        budgets: (cost, limit) of which the best are wanted.
    """

    title: str
    problem: Problem
    recipe: SearchRecipe
    seed: int
    out: Path
    scored_by: dict[str, Any]
    scored_by_words: str
    again: str
    extract: str
    resume: bool
    latency: SearchLatency | None = None
    predictor: str | None = None
    budgets: Sequence[tuple[str, float]] = field(default_factory=tuple)


def run_task(task: SearchTask, evaluator: Evaluator) -> SearchOutcome:
    """Search, and write down what was found. Raises as :func:`anas_zoo.searching.run_search` does."""
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
    if task.latency is not None and task.latency.here is not None:
        identity[LATENCY_HERE] = task.latency.here.model_dump(mode="json")
    begun_with = {
        "evaluations": recipe.evaluations,
        "images_forwarded": recipe.images_forwarded,
        "images": recipe.images,
        "latency": _from_anywhere(recipe.latency),
        "predictor": _from_anywhere(task.predictor),
        "budgets": [list(budget) for budget in task.budgets],
    }
    begin_search(task.out, identity, begun_with, resume=task.resume, again=task.again)
    algorithm = make_algorithm(problem, recipe, seed=[task.seed, SEARCH])
    with resumable(lambda: _resuming(task)), Archive(task.out / EVALUATIONS) as archive:
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
    outcome = SearchOutcome(
        folder=task.out,
        objectives=problem.objectives,
        front=front,
        answers=answers,
        references=references,
        result=result,
        extract=task.extract,
        latency=task.latency,
    )
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


def _from_anywhere(file: str | None) -> str | None:
    """A file as a later call finds it, wherever that is made."""
    return None if file is None else str(Path(file).absolute())


def _resuming(task: SearchTask) -> tuple[Part, ...]:
    with (task.out / EVALUATIONS).open("rb") as file:
        kept = sum(1 for _ in file)
    return (f"resume after {kept} evaluations with: ", task.again)


def _view(task: SearchTask, outcome: SearchOutcome) -> SearchView:
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
    if task.latency is not None:
        about["latency"] = task.latency.in_words()
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
