"""Timing of calls side by side, so that they can be compared: what a sweep does, whatever it calls.

It needs numpy alone: a latency kit carries this file to a device that has no more (pipeline/latency_kit.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Clock = Literal["cpu", "wall"]
Call = Callable[[], object]

FINE_SECONDS = 1e-5  # a CPU clock that ticks more rarely (15 ms on some systems) is of no use here
GROUP = 8  # files open at a time beside the yardsticks: some hundred megabytes
PASSES = 4
WARMUP = 2  # the first call allocates, the second still meets cold memory


@dataclass(frozen=True)
class Sweep:
    """What was measured.

    Attributes:
        ms: one call of each file, in their order, (files,).
        level_pct: half of the middle 95 % of the groups' speeds: how much faster or slower the machine itself
            was from one group to the next. All milliseconds together are uncertain by that.
        noise_pct: half of the distance between a file's passes, the median over the files.
    """

    ms: Values
    level_pct: float
    noise_pct: float


def clock_of(threads: int) -> Clock:
    """The clock that a busy machine disturbs least: "cpu" for one thread, "wall" for several.

    The CPU time of a thread is the wall-clock time on an idle machine; on a busy one it leaves out the turns
    that other programs took. The work of several threads overlaps, which no CPU clock shows.
    """
    fine = time.get_clock_info("thread_time").resolution <= FINE_SECONDS
    return "cpu" if threads == 1 and fine else "wall"


def interleave(
    calls: Sequence[Call], rounds: int, *, clock: Clock = "wall", after: Call = lambda: None
) -> Values:
    """Time each call once per round, round after round: (calls, rounds) milliseconds.

    Whatever slows the machine for a while then falls on all of them alike. ``after`` is called after a round.
    """
    now = time.thread_time_ns if clock == "cpu" else time.perf_counter_ns
    times = np.empty((len(calls), rounds), dtype=np.float64)
    for round_ in range(rounds):
        for index, call in enumerate(calls):
            start = now()
            call()
            times[index, round_] = (now() - start) / 1e6
        after()
    return times


def time_in_turn(calls: Sequence[Call], rounds: int, clock: Clock) -> Values:
    """Median milliseconds of each call, after a warm-up, called in turn, (calls,).

    What a round did to all of them alike is taken away first, which halves the noise of a busy machine.
    """
    for _ in range(WARMUP):
        for call in calls:
            call()
    logs = np.log(np.maximum(interleave(calls, rounds, clock=clock), 1e-6))  # a clock of ticks may say 0
    logs -= np.median(logs - np.median(logs, axis=1, keepdims=True), axis=0)
    found: Values = np.exp(np.median(logs, axis=1))
    return found


def groups_in(files: int, yardsticks: Sequence[int]) -> int:
    """How many groups :func:`sweep` times, over all passes."""
    return PASSES * max(1, -(-(files - len(yardsticks)) // GROUP))


def sweep(
    prepare: Callable[[int], Call],
    files: int,
    *,
    yardsticks: Sequence[int],
    rng: np.random.Generator,
    clock: Clock,
    repeats: int,
    after: Call = lambda: None,
) -> Sweep:
    """Latency of many files, a few open at a time, made comparable by yardsticks that all groups time.

    A pass deals the files anew into groups. The files of a group are called in turn, round after round,
    together with the *yardsticks*, two of the files. What those took shows how fast the machine was
    meanwhile, and is divided out of the group's times. A file's figure is the median of its passes.

    Args:
        prepare: opens the file of that number; the function that runs it once.
        files: how many there are.
        yardsticks: the numbers of those that every group times too.
        rng: deals them.
        clock: that they are timed by.
        repeats: measured calls of each file, over all passes.
        after: called when a group is done, :func:`groups_in` times.
    """
    logs: list[list[float]] = [[] for _ in range(files)]  # of milliseconds, the group's speed divided out
    speeds: list[float] = []
    others = np.asarray([number for number in range(files) if number not in yardsticks], dtype=np.int64)
    for _ in range(PASSES):
        dealt = rng.permutation(others).tolist()
        for start in range(0, max(1, len(others)), GROUP):
            members = [*yardsticks, *dealt[start : start + GROUP]]
            calls = (prepare(number) for number in members)
            found = np.log(time_in_turn(list(calls), -(-repeats // PASSES), clock)).tolist()
            speeds.append(sum(found[: len(yardsticks)]) / len(yardsticks))
            for place, number in enumerate(members):
                logs[number].append(found[place] - speeds[-1])
            after()
    low, high = np.percentile(speeds, [2.5, 97.5])
    passes = [np.ptp(of_file) / 2 for of_file in logs]
    return Sweep(
        np.exp([np.median(of_file) + np.median(speeds) for of_file in logs]),
        level_pct=100.0 * float(np.expm1((high - low) / 2)),
        noise_pct=100.0 * float(np.expm1(np.median(passes))),
    )
