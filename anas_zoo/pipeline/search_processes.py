"""Evaluations spread over the processes that torchrun started: the first one searches, all evaluate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch.distributed as dist

from anas_zoo.searching import Evaluator, Score
from anas_zoo.space import Architecture
from anas_zoo.training import Processes

T = TypeVar("T")


class _Together:
    """An evaluator that gives each process one architecture at a time and gathers the scores."""

    def __init__(self, evaluator: Evaluator, processes: Processes) -> None:
        self._evaluator, self._processes = evaluator, processes
        self.images, self.images_forwarded = evaluator.images, evaluator.images_forwarded
        self.at_once = processes.count * evaluator.at_once

    def __call__(self, archs: Sequence[Architecture]) -> list[Score]:
        """Scores of ``archs`` in their order."""
        dist.broadcast_object_list([list(archs)], src=0)
        return self.share(archs)

    def share(self, archs: Sequence[Architecture]) -> list[Score]:
        """Evaluate this process' part of ``archs``; the scores of all of them, in every process."""
        rank, count = self._processes.rank, self._processes.count
        parts: list[list[Score]] = [[] for _ in range(count)]
        dist.all_gather_object(parts, self._evaluator(archs[rank::count]))
        found: list[Score] = [Score(None)] * len(archs)
        for number, part in enumerate(parts):
            found[number::count] = part
        return found

    def serve(self) -> None:
        """Evaluate what the first process asks for, until it is done."""
        while True:
            asked: list[list[Architecture] | None] = [None]
            dist.broadcast_object_list(asked, src=0)
            if asked[0] is None:
                return
            self.share(asked[0])


def of_the_first(value: T, processes: Processes) -> T:
    """The first process' ``value``, in every process; each of them has to call this."""
    if processes.count == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


@contextlib.contextmanager
def evaluate_together(evaluator: Evaluator, processes: Processes) -> Iterator[Evaluator | None]:
    """The evaluator of all processes for the first one; in the others None, once the first is done.

    What goes between processes is pickled by torch.distributed; it never comes from outside.
    """
    if processes.count == 1:
        yield evaluator
        return
    together = _Together(evaluator, processes)
    if not processes.first:
        together.serve()
        yield None
        return
    try:
        yield together
    finally:
        dist.broadcast_object_list([None], src=0)
