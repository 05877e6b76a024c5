"""The search loop: ask, evaluate, write down, tell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from anas_zoo.core.errors import SearchError
from anas_zoo.core.progress import Bar
from anas_zoo.searching.algorithm import Algorithm
from anas_zoo.searching.archive import Archive, Evaluation, Failure, Record
from anas_zoo.searching.evaluator import Evaluator, Score
from anas_zoo.searching.front import hypervolume_pct
from anas_zoo.searching.problem import Problem
from anas_zoo.space import Architecture

HOPELESS = 8  # when this many fail before the first that succeeds, the rest will too
SETTLED_PCT = 0.5  # by which less the hypervolume of a front grows that has hardly moved


@dataclass(frozen=True)
class Budget:
    """How much a search may spend: evaluations, and images passed through subnets (None: no limit).

    After ``patience`` rounds in which the front has hardly moved it spends no more (0: it does).
    """

    evaluations: int
    images_forwarded: int | None = None
    patience: int = 0

    def of(self, evaluator: Evaluator) -> int:
        """Evaluations that both limits allow. Raises :class:`SearchError` for not even one."""
        each = evaluator.images_forwarded
        if self.images_forwarded is None or each == 0:
            return self.evaluations
        if self.images_forwarded < each:
            raise SearchError(
                f"a budget of {self.images_forwarded} images forwarded is less than one evaluation takes "
                f"({each}: calibration and scoring); give at least that, or score fewer images"
            )
        return min(self.evaluations, self.images_forwarded // each)


@dataclass
class SearchResult:
    """What a search did, its evaluations in the order in which they were asked for.

    ``exhausted``: nothing new was left within the limits before the budget was spent; ``settled``: the front
    hardly moved any more.
    """

    evaluations: list[Evaluation] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    images_forwarded: int = 0
    exhausted: bool = False
    settled: bool = False

    @property
    def count(self) -> int:
        """Evaluations and failures."""
        return len(self.evaluations) + len(self.failures)


def run_search(algorithm: Algorithm, evaluator: Evaluator, archive: Archive, budget: Budget) -> SearchResult:
    """Run ``algorithm`` until ``budget`` is spent; each record is durable in ``archive`` at once.

    What the archive holds already is not evaluated again: whole rounds are taken as they are, and what
    the last one lacks is evaluated. An interrupted search so ends with what an uninterrupted one has.

    Raises :class:`SearchError` when all of the first evaluations fail, with the reason of the first.
    """
    total = budget.of(evaluator)
    rounds = [list(group) for _, group in itertools.groupby(archive.records, key=lambda r: r.round)]
    result = SearchResult()
    for records in rounds[:-1]:
        algorithm.tell(records)
        _count(result, records)
    known = {record.arch: record for record in (rounds[-1] if rounds else [])}
    with Bar("search", total=total) as bar:
        bar.advance(result.count)
        while known or result.count < total:
            archs = algorithm.ask()[: max(total - result.count, 0)]
            # What the interrupted round had evaluated counts, even where other hardware would ask otherwise.
            records = list(known.values())
            bar.advance(len(records))
            missing = [arch for arch in archs if arch not in known][: len(archs) - len(records)]
            if not records and not missing:
                result.exhausted = True
                break
            for start in range(0, len(missing), evaluator.at_once):
                part = missing[start : start + evaluator.at_once]
                made = records_of(algorithm.problem, evaluator, part, round_=algorithm.round)
                archive.add(made)
                records += made
                bar.advance(len(made))
                _refuse_hopeless(result, records)
            algorithm.tell(records)
            _count(result, records)
            known = {}
            result.settled = result.count < total and _has_settled(algorithm, budget.patience)
            if result.settled:
                break
            if result.evaluations:
                bar.describe(f"search: best {max(e.top1_pct for e in result.evaluations):.2f} %")
    result.images_forwarded = result.count * evaluator.images_forwarded
    return result


def _has_settled(algorithm: Algorithm, patience: int) -> bool:
    """Whether the hypervolume of the front has grown by less than a part of it in so many rounds."""
    problem = algorithm.problem
    now = problem.accepted(algorithm.evaluations)
    before = [e for e in now if e.round < algorithm.round - patience]
    if not patience or not before:
        return False
    losses = problem.losses(now)
    grown, was = (hypervolume_pct(problem.losses(some), losses) for some in (now, before))
    return grown - was < SETTLED_PCT / 100 * grown


def _count(result: SearchResult, records: Sequence[Record]) -> None:
    for record in records:
        if isinstance(record, Failure):
            result.failures.append(record)
        else:
            result.evaluations.append(record)


def records_of(
    problem: Problem, evaluator: Evaluator, archs: Sequence[Architecture], *, round_: int
) -> list[Record]:
    """Evaluate ``archs`` and add to each score what the architecture costs."""
    scores: list[Score] = evaluator(archs)
    costs = problem.costs(problem.space.encode(archs))
    latency, bars = costs.get("latency_ms"), problem.latency_bars
    made: list[Record] = []
    for place, (arch, score) in enumerate(zip(archs, scores, strict=True)):
        macs, params = int(costs["macs"][place]), int(costs["params"][place])
        if score.top1_pct is None:
            made.append(Failure(arch, macs, params, score.error or "unknown", round_))
            continue
        made.append(
            Evaluation(
                arch=arch,
                macs=macs,
                params=params,
                top1_pct=score.top1_pct,
                images=evaluator.images,
                size_bytes=int(costs["size_bytes"][place]),
                latency_ms=None if latency is None else float(latency[place]),
                latency_bar_ms=None
                if latency is None or bars is None
                else (float(latency[place] * bars[0]), float(latency[place] * bars[1])),
                round=round_,
            )
        )
    return made


def _refuse_hopeless(result: SearchResult, records: Sequence[Record]) -> None:
    failures = [*result.failures, *(record for record in records if isinstance(record, Failure))]
    succeeded = len(result.evaluations) + sum(isinstance(record, Evaluation) for record in records)
    if not succeeded and len(failures) >= HOPELESS:
        raise SearchError(f"the first {len(failures)} evaluations all failed; the first: {failures[0].error}")
