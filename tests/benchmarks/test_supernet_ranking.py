"""The comparison of ways to train a supernet: every arm's recipe, and a report of short trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from supernet_ranking import Cell, drawn_subnets, make_cell, median_subnet, training_recipe
from supernet_ranking_arms import ALONE, ALONE_SGD, ARMS, reference_of
from supernet_ranking_report import Alone, lines_of

from anas_zoo.space import SearchSpace
from anas_zoo.training import make_sampler

SPACE = SearchSpace.load("tiny")


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_a_recipe_with_a_reference(arm: str) -> None:
    make_sampler(SPACE, training_recipe("digits", ARMS[arm]))
    reference = reference_of(arm)
    assert reference is None or reference in ARMS


def test_the_median_lies_between_the_ends() -> None:
    low, middle, high = SPACE.macs([SPACE.smallest, median_subnet(SPACE, 10), SPACE.largest], 10).tolist()
    assert low < middle < high


@pytest.mark.slow
def test_cells_from_training_to_the_report(tmp_path: Path) -> None:
    arms = ("sandwich", "sandwich, mean of weights", "one path", "one path, by gradient")
    cells = [Cell("digits", "tiny", arm, seed, 4, "steps") for arm in arms for seed in (0, 1)]
    cells.append(Cell("digits", "tiny", "sandwich", 0, 0.2, "s"))
    numbers = range(len(drawn_subnets(SPACE)))
    cells += [
        Cell("digits", "tiny", arm, 0, 2, "epochs", number)
        for arm in (ALONE, ALONE_SGD)
        for number in numbers
    ]
    found: list[dict[str, Any]] = []
    for cell in cells:
        file = tmp_path / f"{cell.name}.json"
        make_cell(cell, "digits", "cpu", file)
        found.append(json.loads(file.read_text()))
    steps = {one["cell"]["arm"]: one for one in found if one["cell"]["unit"] == "steps"}
    assert steps["sandwich"]["passes"] == 4 * 4 * 3
    assert steps["one path"]["passes"] == 4 * 3
    text = "\n".join(lines_of(found, drawn_subnets, median_subnet))
    assert "## scikit-learn's digits, 8×8; space `tiny`; 4 steps" in text
    assert "## scikit-learn's digits, 8×8; space `tiny`; 0.2 s of one core" in text
    assert "| one path, by gradient | 2 | 4 | " in text
    assert "| arm, less the uniform one | seeds | τ | τ by loss | chosen |" in text


def test_what_is_chosen_is_the_best_score_within_each_limit() -> None:
    archs = sorted(drawn_subnets(SPACE), key=lambda arch: SPACE.macs([arch], 10).item())
    top1 = [90.0 + number for number in range(len(archs))]
    cells = [
        {"cell": {"arm": ALONE, "seed": 0}, "classes": 10, "scores": {arch.id: {"top1_pct": value}}}
        for arch, value in zip(archs, top1, strict=True)
    ]
    alone = Alone(cells, SPACE, archs)
    best, first = alone.of_chosen(top1), alone.of_chosen([-value for value in top1])
    assert first == 90.0
    assert best == alone.of_chosen(SPACE.macs(archs, 10).tolist())
    assert 90.0 < best < top1[-1]
