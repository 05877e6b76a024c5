from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from search_value import DRAWN, LONGER, RULE, SEARCHED, cell_name, lines_of, picks_of, times_without_search

from anas_zoo.pipeline import Run
from anas_zoo.pipeline.latency import fit_latency
from anas_zoo.pipeline.winners import Winner, Winners
from anas_zoo.space import SearchSpace


def record(seed: int, **top1: float) -> dict[str, Any]:
    ways = {"searched": SEARCHED, "rule": RULE, "longer": LONGER, "drawn": DRAWN}
    picked = [
        {"place": 0, "way": ways[way], "latency_ms": 0.03, "top1_pct": value} for way, value in top1.items()
    ]
    about = {"data": "glyphs", "space": "tiny", "minutes": 5.0, "seed": seed, "seconds": 60.0}
    return about | {"made_on": "a machine", "picked": picked}


def test_the_report_compares_each_run_with_itself() -> None:
    records = [
        record(0, searched=80.0, rule=79.0, longer=80.0, drawn=70.0),
        record(1, searched=90.0, rule=87.0, longer=91.0, drawn=80.0),
    ]
    text = "\n".join(lines_of(records))
    assert "## glyphs, 32×32, tested on other fonts; 2 runs of 5 minutes; `tiny`; 60 s" in text
    assert "| 0.030 | 85.00 ± 7.07 | 83.00 ± 5.66 | 85.50 ± 7.78 | 75.00 ± 7.07 |" in text
    assert f"*Searched* less *{RULE}*: +2.00 (-10.71 to +14.71) points." in text
    assert f"*Searched* less *{DRAWN}*: +10.00 (+10.00 to +10.00) † points." in text


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """What the benchmark asks of a finished run, with a real latency model of its space."""
    space = SearchSpace.load("digits")
    model = fit_latency(space, tmp_path / "work", num_classes=10, subnets=24, held_out=4, repeats=8, seed=0)
    model.save(tmp_path / "latency.json")
    chosen = space.decode(space.sample_codes(np.random.default_rng(3), 2))
    winners = Winners(winners=tuple(Winner(name=a.id, arch=a.to_dict(), train=None) for a in chosen))
    (tmp_path / "winners.json").write_text(winners.model_dump_json())
    spent = {"supernet": 30.0, "search": 10.0, "winners": 80.0}
    (tmp_path / "minutes.json").write_text(json.dumps({"minutes": 5, "spent_s": spent}))
    return cast(
        Run,
        SimpleNamespace(
            folder=tmp_path,
            winners_folder=tmp_path,
            latency_file=tmp_path / "latency.json",
            minutes_file=tmp_path / "minutes.json",
            space=space,
            source=SimpleNamespace(label_names=tuple("0123456789")),
            recipe=SimpleNamespace(seed=0, images=lambda: "digits"),
            split_sha256="0" * 64,
        ),
    )


def test_what_stands_beside_a_subnet_is_no_slower(run: Run) -> None:
    assert times_without_search(run) == 1.5
    picked = picks_of(run)
    assert [one.way for one in picked] == 2 * [SEARCHED, RULE, LONGER, DRAWN]
    for place in (0, 1):
        searched, rule, longer, drawn = (one for one in picked if one.place == place)
        assert max(rule.latency_ms, drawn.latency_ms) <= searched.latency_ms
        assert rule.arch.resolution >= max(searched.arch.resolution, drawn.arch.resolution)
        assert (longer.arch, longer.times) == (rule.arch, 1.5)
    assert cell_name(run, picked[2], 60.0) == cell_name(run, picked[1], 90.0)
