"""Limits of a predicted latency, and answers to them, by the bars of the prediction."""

from __future__ import annotations

import numpy as np
import pytest
from search_parts import SPACE, latency_ms, problem

from anas_zoo.core.errors import SearchError
from anas_zoo.searching import Evaluation, check_limits
from anas_zoo.searching.archive import record_from_dict
from anas_zoo.searching.front import answers_of

SMALLEST_MS = float(latency_ms(SPACE.encode([SPACE.smallest]))[0])  # about 5.07
BARS = (0.8, 1.25)


def evaluation(ms: float, top1_pct: float, bars: tuple[float, float] | None = BARS) -> Evaluation:
    bar = None if bars is None else (ms * bars[0], ms * bars[1])
    arch = SPACE.sample(np.random.default_rng(round(1000 * ms)))
    return Evaluation(arch, 1, 1, top1_pct, 10, latency_ms=ms, latency_bar_ms=bar)


def test_a_limit_is_refused_only_where_even_the_bars_do_not_reach_it() -> None:
    rng = np.random.default_rng(0)

    def checked(limit: float, *, by_bars: bool) -> None:
        limits = {"latency_ms": {"max": limit}}
        check_limits(problem(limits, latency_ms=latency_ms, latency_bars=BARS, by_bars=by_bars), rng)

    just_under = 0.9 * SMALLEST_MS
    with pytest.raises(SearchError, match="is too little"):
        checked(just_under, by_bars=False)
    checked(just_under, by_bars=True)
    with pytest.raises(SearchError, match=r"reaches from 4\.05\d* to .* by the bars of the latency model"):
        checked(0.7 * SMALLEST_MS, by_bars=True)


def test_by_bars_a_least_latency_counts_where_the_upper_end_reaches_it() -> None:
    codes = SPACE.encode([SPACE.largest])
    most = float(latency_ms(codes)[0])
    for limit, outside in ((1.2 * most, False), (1.3 * most, True)):
        on = problem({"latency_ms": {"min": limit}}, latency_ms=latency_ms, latency_bars=BARS, by_bars=True)
        assert (on.breach(codes)[0] > 0) == outside


def test_what_is_predicted_to_keep_a_budget_comes_before_what_only_may() -> None:
    sure, predicted, perhaps = evaluation(1.5, 70.0), evaluation(1.9, 75.0), evaluation(2.3, 80.0)
    answer = answers_of([sure, predicted, perhaps], [("latency_ms", 2.0)])[0]
    assert answer.best == predicted
    assert answer.unsure
    assert answer.to_dict()["limit_within_bars"] is True
    only = answers_of([perhaps, evaluation(9.0, 90.0)], [("latency_ms", 2.0)])[0]
    assert only.best == perhaps
    assert only.unsure
    certain = answers_of([sure], [("latency_ms", 2.0)])[0]
    assert not certain.unsure
    assert "limit_within_bars" not in certain.to_dict()
    assert answers_of([evaluation(2.3, 80.0, None)], [("latency_ms", 2.0)])[0].best is None


@pytest.mark.parametrize(("bars", "shown"), [(BARS, "2 (1.6 to 2.5)"), (None, "2")])
def test_bars_are_on_each_line_and_shown(bars: tuple[float, float] | None, shown: str) -> None:
    item = evaluation(2.0, 75.0, bars)
    assert item.to_dict().get("latency_bar_ms") == (None if bars is None else [1.6, 2.5])
    assert ("latency_bar_ms" in item.to_dict()) == (bars is not None)  # not so in an archive of before
    assert record_from_dict(item.to_dict()) == item
    assert item.shown("latency_ms") == shown
