"""Time of calls on a machine that others use too: what a call took, and how long it waited for a core."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["clock_name", "time_rounds"]

Times = npt.NDArray[np.float64]

FINE_SECONDS = 1e-5  # a CPU clock that ticks more rarely (15 ms on some systems) is of no use here


def _has_own_clock(threads: int) -> bool:
    return threads == 1 and time.get_clock_info("thread_time").resolution <= FINE_SECONDS


def clock_name(threads: int) -> str:
    """What :func:`time_rounds` reads: "cpu" for one thread, "wall" for several."""
    return "cpu" if _has_own_clock(threads) else "wall"


def time_rounds(calls: Sequence[Callable[[], object]], rounds: int, threads: int) -> tuple[Times, Times]:
    """Every call once per round: (milliseconds, milliseconds by the wall clock), both (calls, rounds).

    With one thread the first is the CPU time of that thread. On an idle machine it is the wall-clock time
    (the call never sleeps); on a busy one it leaves out the turns that other programs took meanwhile, which
    are no property of the file. The work of several threads overlaps in a way that no CPU clock tells, so
    there both are the wall clock's.
    """
    own_clock = _has_own_clock(threads)
    busy = np.empty((len(calls), rounds), dtype=np.float64)
    wall = np.empty_like(busy)
    for round_ in range(rounds):
        for index, call in enumerate(calls):
            wall_start, own_start = time.perf_counter_ns(), time.thread_time_ns()
            call()
            own_end, wall_end = time.thread_time_ns(), time.perf_counter_ns()
            wall[index, round_] = (wall_end - wall_start) / 1e6
            busy[index, round_] = (own_end - own_start) / 1e6 if own_clock else wall[index, round_]
    return busy, wall
