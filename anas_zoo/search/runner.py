"""The search loop: ask, evaluate, write down, tell."""

from __future__ import annotations

from collections.abc import Callable

from anas_zoo.progress import Bar
from anas_zoo.search.archive import Archive
from anas_zoo.search.evaluation import Evaluation
from anas_zoo.search.evolution import Evolution
from anas_zoo.space import Architecture

__all__ = ["run_search"]


def run_search(
    algorithm: Evolution,
    evaluate: Callable[[Architecture], Evaluation],
    archive: Archive,
    *,
    total: int,
) -> list[Evaluation]:
    """Run ``algorithm`` to its end, each evaluation durable in ``archive`` before the next one starts.

    ``total`` is for the progress bar only. Returns all evaluations in order.
    """
    done: list[Evaluation] = []
    with Bar("search", total=total) as bar:
        while archs := algorithm.ask():
            batch = []
            for arch in archs:
                batch.append(evaluate(arch))
                archive.add(batch[-1])
                bar.advance()
            algorithm.tell(batch)
            done += batch
            bar.describe(f"search: best {max(e.top1_pct for e in done):.2f} %")
    return done
