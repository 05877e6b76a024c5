from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from anas_zoo.profiling import timing
from anas_zoo.profiling.timing import GROUP, PASSES, clock_of, groups_in, interleave, sweep, time_in_turn


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_waiting_for_others_is_not_counted() -> None:
    wall = interleave([lambda: time.sleep(0.01)], 2)
    assert (wall >= 9.9).all()
    if clock_of(1) == "cpu":
        assert (interleave([lambda: time.sleep(0.01)], 2, clock="cpu") < wall / 2).all()
    assert clock_of(2) == "wall"


def test_calls_take_turns() -> None:
    order: list[str] = []

    def call(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    times = interleave([call("a"), call("b"), call("c")], 3, after=call("|"))
    assert "".join(order) == "abc|" * 3
    assert times.shape == (3, 3)
    assert (times > 0).all()


def test_the_speed_of_the_machine_is_divided_out(monkeypatch: pytest.MonkeyPatch) -> None:
    files = 2 * GROUP + 2
    speeds = iter([1.0, 1.5] * PASSES)
    groups: list[list[int]] = []
    done: list[None] = []

    def prepare(number: int) -> Callable[[], int]:
        return lambda: number

    def timed(calls: list[Callable[[], int]], rounds: int, clock: str) -> np.ndarray:
        groups.append([call() for call in calls])
        return next(speeds) * np.array([1.0 + number for number in groups[-1]])

    monkeypatch.setattr(timing, "time_in_turn", timed)
    found = sweep(
        prepare,
        files,
        yardsticks=(0, 3),
        rng=rng(),
        clock="wall",
        repeats=8,
        after=lambda: done.append(None),
    )
    assert len(done) == len(groups) == groups_in(files, (0, 3)) == 2 * PASSES
    assert all(group[:2] == [0, 3] for group in groups)
    assert groups[0] != groups[2]
    assert found.ms / found.ms[0] == pytest.approx(np.arange(1.0, files + 1))
    assert 1.0 <= found.ms[0] <= 1.5
    assert found.level_pct == pytest.approx(100 * (1.5**0.5 - 1))
    assert found.noise_pct == pytest.approx(0.0, abs=1e-9)


def test_what_a_round_does_to_all_calls_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.geomspace(1.0, 20.0, 10)[:, None]
    of_round = np.exp(rng().standard_normal(20))
    noise = np.exp(0.05 * rng().standard_normal((10, 20)))
    monkeypatch.setattr(timing, "interleave", lambda calls, rounds, clock: truth * of_round * noise)
    found = np.log(time_in_turn([lambda: None] * 10, 20, "wall") / truth[:, 0])
    assert found.std() < 0.02
