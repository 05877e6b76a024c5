"""The published models of a space, scored like everything else in a search of it."""

from __future__ import annotations

from anas_zoo.searching import Evaluation, Evaluator, SearchResult
from anas_zoo.searching.answer import Reference
from anas_zoo.searching.problem import Problem
from anas_zoo.searching.runner import records_of
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.zoo.config_only import load_published

__all__ = ["score_references"]


def score_references(problem: Problem, evaluator: Evaluator, result: SearchResult) -> list[Reference]:
    """a0 to a6 and AlphaNet's two, in a space that has them; none in any other.

    What the search has evaluated already is not evaluated again.
    """
    published = load_published()
    if problem.space.id != SearchSpace.load(published.space).id:
        return []
    archs = {model.name: Architecture.from_dict(model.arch) for model in published.models}
    known = {e.arch: e for e in result.evaluations}
    missing = [arch for arch in archs.values() if arch not in known]
    for start in range(0, len(missing), evaluator.at_once):
        part = missing[start : start + evaluator.at_once]
        made = records_of(problem, evaluator, part, round_=0)
        known |= {record.arch: record for record in made if isinstance(record, Evaluation)}
    return [
        Reference(model.name, known[archs[model.name]], dict(model.top1_pct))
        for model in published.models
        if archs[model.name] in known
    ]
