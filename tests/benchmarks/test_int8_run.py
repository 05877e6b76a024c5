from __future__ import annotations

from typing import Any

from int8_run import FOR_FLOAT, FOR_INT8, NOT_INT8, by_limit, lines_of, within


def model(way: str, name: str, latency_ms: float, search: float, test: float) -> dict[str, Any]:
    scores = {"search_top1_pct": search, "top1_pct": test, "latency_ms": latency_ms}
    return {"way": way, "name": name, "resolution": 24, "macs": 10**6, "size_bytes": 5000} | scores


def pair(seed: int, *models: dict[str, Any]) -> dict[str, Any]:
    about = {"data": "glyphs", "minutes": 5, "seed": seed, "images": 2820, "noise_pct": 1.0}
    return about | {"made_on": "a machine", "models": list(models)}


FIRST = pair(
    0,
    model(FOR_INT8, "small", 0.010, 80.0, 79.0),
    model(FOR_INT8, "large", 0.020, 90.0, 89.0),
    model(FOR_FLOAT, "small", 0.010, 81.0, 80.0),
    model(FOR_FLOAT, "large", 0.020, 79.0, 95.0),
    model(NOT_INT8, "small", 0.030, 81.0, 80.0),
)


def test_the_search_split_chooses_among_those_that_are_as_fast() -> None:
    taken = within(FIRST, FOR_INT8, 0.020)
    assert taken is not None
    assert taken["name"] == "large"
    taken = within(FIRST, FOR_FLOAT, 0.020)  # the larger is better on the test split, which is not asked
    assert taken is not None
    assert taken["name"] == "small"
    assert within(FIRST, NOT_INT8, 0.020) is None


def test_a_way_that_has_no_model_of_some_seed_is_not_compared() -> None:
    second = pair(
        1, model(FOR_INT8, "small", 0.009, 70.0, 70.0), model(FOR_FLOAT, "small", 0.015, 70.0, 70.0)
    )
    rows = {line.split(" | ")[0].strip("| "): line for line in by_limit([FIRST, second]).splitlines()}
    assert rows["0.010"] == "| 0.010 | 74.5 ± 6.4 | – | – | – |"
    assert rows["0.020"] == "| 0.020 | 79.5 ± 13.4 | 75.0 ± 7.1 | – | +4.5 |"


def test_the_report_names_data_and_length() -> None:
    text = "\n".join(lines_of([FIRST]))
    assert "## glyphs, 32×32, tested on other fonts; 5 minutes" in text
    assert "1 seed, 2820 test images." in text
    assert "| run for int8 | large | 1 | 24 | 89.0 | 0.0200 | 1.00 | 5 |" in text
