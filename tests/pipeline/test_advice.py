"""Which models are recommended, and what is said against them."""

from __future__ import annotations

from typing import Any

import pytest

from anas_zoo.core.hints import Call, as_command_line
from anas_zoo.pipeline.advice import advise, clearly_better, standard_error, still_rising, with_front

MORE = Call("run", data="images", minutes=45, out="longer")


def row(name: str, latency_ms: float, search_pct: float, test_pct: float = 50.0) -> dict[str, Any]:
    numbers = {"latency_ms": latency_ms, "search_top1_pct": search_pct, "top1_pct": test_pct}
    return {"name": name, "images": 400, **numbers}


def said(*rows: dict[str, Any], plain: str | None = "plain", rising: str | None = None) -> list[str]:
    return [as_command_line(parts) for parts in advise(with_front(list(rows)), plain, 400, MORE, rising)]


def test_the_front_is_of_latency_and_the_search_split() -> None:
    rows = with_front([row("l", 3, 90, 10), row("s", 1, 80, 99), row("m", 2, 79, 99), row("twin", 1, 80)])
    assert [one["name"] for one in rows] == ["s", "twin", "m", "l"]
    assert [one["on_front"] for one in rows] == [True, True, False, True]


def test_the_standard_error_of_a_difference() -> None:
    assert standard_error(50, 50, 100) == pytest.approx(100 * (0.5 / 100) ** 0.5)
    assert standard_error(100, 100, 100) > 0, "100 % of a hundred images is no certainty"
    assert clearly_better(row("a", 1, 90), row("b", 1, 80), 400)
    assert not clearly_better(row("a", 1, 90), row("b", 1, 89), 400)


def test_the_fastest_within_noise_of_the_best_is_taken() -> None:
    first, *_ = said(row("s", 1, 89.5), row("m", 2, 89.8), row("l", 3, 90))
    assert first.startswith("s and l are within a standard error: take s, 50.00 % ")
    assert "in 1 ms" in first


def test_the_best_is_taken_where_faster_ones_are_worse_which_are_named_too() -> None:
    first, second, *_ = said(row("s", 1, 70), row("l", 3, 90))
    assert first.startswith("take l: ")
    assert first.endswith("all that is faster is worse")
    assert second.startswith("for less time s: ")
    assert second.endswith("3.0 times as fast")


def test_the_plain_network_is_held_against_the_others() -> None:
    assert any(
        "the plain network is the better choice here" in t for t in said(row("s", 1, 70), row("plain", 2, 90))
    )
    beaten = said(row("s", 1, 90), row("plain", 2, 70))[-1]
    assert beaten.startswith("a plain network beside has ")
    assert "noise" not in beaten
    assert said(row("s", 1, 90), row("plain", 2, 89.9))[-1].endswith("within noise")
    assert any("as fast as the plain network" in text for text in said(row("s", 2, 90), row("plain", 1, 70)))
    assert not any("plain" in text for text in said(row("s", 1, 90), plain=None))


def test_too_short_a_training_is_told_with_what_trains_longer() -> None:
    again = "anas run --data images --minutes 45 --out longer"
    texts = said(row("s", 1, 90), row("m", 2, 70), row("l", 3, 91))
    assert texts[-1].startswith("m is worse than the smaller s: it was trained too shortly")
    assert texts[-1].endswith(again)
    assert not any("too shortly" in text for text in said(row("s", 1, 90), row("l", 3, 89.5)))
    assert not any("too shortly" in text for text in said(row("s", 1, 90), row("plain", 3, 50)))
    assert (
        said(row("s", 1, 90), rising="s")[-1]
        == f"s was still getting better at the end; give a run more time: {again}"
    )


def test_a_training_is_still_rising_where_its_last_gain_is_more_than_chance() -> None:
    assert still_rising([50, 60, 80], 400)
    assert not still_rising([50, 80, 80.5], 400)
    assert not still_rising([80], 400)
    assert not still_rising([], 400)
