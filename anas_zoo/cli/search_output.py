"""How ``anas search`` shows what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anas_zoo.cli.output import print_json, print_lines, print_table
from anas_zoo.core.hints import Call, as_command_line

if TYPE_CHECKING:
    from anas_zoo.pipeline.search_stage import SearchOutcome
    from anas_zoo.searching import Evaluation
    from anas_zoo.searching.front import Answer


ROWS = 16  # of a front that are printed; front.json has all


def print_outcome_json(outcome: SearchOutcome) -> None:
    """The front, the answers and the published models, for machines."""
    print_json(
        {
            "folder": str(outcome.folder),
            "evaluations": outcome.result.count,
            "failures": len(outcome.result.failures),
            "images_forwarded": outcome.result.images_forwarded,
            "latency": outcome.latency and outcome.latency.to_dict(),
            "front": [item.to_dict() for item in outcome.front],
            "answers": [
                answer.to_dict()
                | {"extract": None if answer.best is None else _extract(outcome, answer.best)}
                for answer in outcome.answers
            ],
            "baselines": [baseline.to_dict() for baseline in outcome.baselines],
        }
    )


def print_outcome(outcome: SearchOutcome, run: str | None) -> None:
    """The front, the published models and the best under each budget, for people."""
    front = outcome.front
    if not front:
        best = max(outcome.result.evaluations, key=lambda item: item.top1_pct, default=None)
        seen = "" if best is None else f"; the best of all has {best.accuracy} % top-1"
        print_lines(f"nothing that was evaluated is within the limits{seen}")
    step = max(1, -(-len(front) // ROWS))
    shown = front[::-1][::step][::-1]
    if front:
        print_table(*_table(outcome, {}, shown))
    if len(shown) < len(front):
        print_lines(f"{len(shown)} of the {len(front)} on the front; all: {outcome.folder / 'front.json'}")
    if outcome.baselines:
        print_lines("", "published models, scored alike")
        named = {r.name: r.evaluation for r in outcome.baselines}
        print_table(*_table(outcome, named, list(named.values())))
    for answer in outcome.answers:
        print_lines("", f"best with {answer.asked()}")
        if answer.best is None:
            print_lines("  nothing evaluated is within it")
            continue
        print_table(*_table(outcome, {}, [answer.best]))
        print_lines(f"  {_extract(outcome, answer.best)}")
        if answer.unsure:
            print_lines(*_unsure(answer, answer.best))
    failed = len(outcome.result.failures)
    note = f" ({failed} failed: see {outcome.folder / 'evaluations.jsonl'})" if failed else ""
    noun = "evaluation" if outcome.result.count == 1 else "evaluations"
    lines = [
        "",
        f"{outcome.result.count:,} {noun}{note}, {outcome.result.images_forwarded:,} images forwarded",
    ]
    if outcome.latency is not None:
        lines.append(f"latency: {outcome.latency.in_words()}")
    if outcome.result.exhausted:
        lines.append("nothing new was left within the limits")
    if outcome.result.settled:
        lines.append("stopped, as the front hardly moves any more; to go on: --patience 0")
    lines.append(f"look at it: {outcome.folder / 'front.html'}, {outcome.folder / 'front.png'}")
    if front and not outcome.answers:
        lines.append(f"  extract one: {_extract(outcome, front[-1])}")
    if run is None:
        lines.append("  RUN: the folder of a run with a supernet of this space (see: anas train)")
        if outcome.baselines and front:  # the authors' space
            imported = Call(
                "import attentive-nas",
                "FILE",
                data="DIR",
                entries="DIR",
                search=outcome.folder,
                arch=front[-1].arch.id,
            )
            lines.append(f"  with the authors' supernet: {as_command_line([imported])}")
    print_lines(*lines)


def _extract(outcome: SearchOutcome, evaluation: Evaluation) -> str:
    return as_command_line([outcome.extract(evaluation.arch.id)])


def _unsure(answer: Answer, best: Evaluation) -> list[str]:
    """What to do about a latency whose bars hold the limit."""
    from anas_zoo.searching.objectives import OBJECTIVES

    show, (low, high) = OBJECTIVES[answer.cost].shown, best.bar(answer.cost)
    value = best.value(answer.cost)
    over = "" if value <= answer.limit else "it is predicted to miss this, and may keep it: "
    return [
        f"  {over}the limit is within its bars, {low:.3g} to {high:.3g}: measure it with anas bench",
        f"  (a limit of {show(answer.limit * value / high)} would be kept by all of the bars)",
    ]


def _table(
    outcome: SearchOutcome, names: dict[str, Evaluation], items: list[Evaluation]
) -> tuple[list[str], list[list[str]]]:
    from anas_zoo.searching.objectives import OBJECTIVES

    costs = ["macs", "params"]
    costs += [name for name in ("size_bytes", "latency_ms") if name in outcome.objectives]
    if any(item.latency_ms is not None for item in items) and "latency_ms" not in costs:
        costs.append("latency_ms")
    headers = [*(["model"] if names else []), "architecture", "R"]
    headers += [OBJECTIVES[name].short for name in costs] + ["top-1 %"]
    rows = []
    labels = list(names) if names else [""] * len(items)
    for label, item in zip(labels, items, strict=True):
        cells = [label] if names else []
        cells += [item.arch.id, str(item.arch.resolution)]
        cells += [item.shown(name) for name in costs]
        rows.append([*cells, item.accuracy])
    return headers, rows
