from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_images import (
    Cell,
    finished,
    kept_with,
    make_baseline,
    make_latency,
    models_of,
    models_of_run,
    share_of,
)
from own_images_baselines import plain_network, rate_at
from own_images_data import write_images
from own_images_report import as_fast, report, verdicts_of

from anas_zoo.data import open_source


def test_the_plain_network_of_three_is_the_one_of_the_tutorials() -> None:
    network = plain_network(3, 16, 28, 10)
    convolutions = [layer for layer in network if isinstance(layer, torch.nn.Conv2d)]
    assert [(c.out_channels, c.stride[0]) for c in convolutions] == [(16, 2), (32, 2), (64, 2)]
    assert sum(parameter.numel() for parameter in network.parameters()) == 24_346


@pytest.mark.parametrize("side", [8, 25, 32, 96, 224])
@pytest.mark.parametrize("depth", [3, 5, 7])
def test_plain_networks_take_any_side(depth: int, side: int) -> None:
    network = plain_network(depth, 16, side, 4)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in network) == depth
    assert network(torch.zeros(2, 3, side, side)).shape == (2, 4)


def test_the_rate_rises_and_ends_at_zero() -> None:
    assert rate_at(0.0) == pytest.approx(0.02)
    assert rate_at(0.1) == pytest.approx(1.0)
    assert rate_at(1.0) == pytest.approx(0.0)


def test_a_folder_of_images_is_a_source(tmp_path: Path) -> None:
    write_images(tmp_path / "images", np.zeros((4, 9, 9), np.uint8), ["a", "b", "a", "b"])
    source = open_source(str(tmp_path / "images"))
    assert (source.label_names, source.labels.tolist()) == (("a", "b"), [0, 0, 1, 1])


def test_a_cell_from_training_to_the_report(tmp_path: Path) -> None:
    cell = Cell("digits", 1.0, 0, tmp_path)
    assert share_of(cell, jobs=2, baselines=8) == 15.0
    for name in ("conv3_w16", "conv5_w16"):
        make_baseline(cell, name, "digits", seconds=1.0)
    trained = json.loads(cell.baseline_file("conv3_w16").read_text())
    assert trained["top1_pct"] > 50
    assert trained["macs"] < 1e6

    # A run that published the first of them.
    published = cell.run / "zoo" / "mine_s"
    published.mkdir(parents=True)
    shutil.copy(cell.folder / trained["file"], published / "model.onnx")
    row = {"name": "mine_s", **{key: trained[key] for key in ("top1_pct", "macs", "params")}}
    (cell.run / "summary.json").write_text(json.dumps({"entries": [row]}))
    same = {key: trained[key] for key in ("test_sha256", "test_images")}
    cell.run_file.write_text(json.dumps({"seconds": 70.0, **same, "models": models_of_run(cell)}))
    assert share_of(cell, jobs=2, baselines=8) == 17.5

    make_latency(cell, models_of(cell))
    kept = tmp_path / "own_images.json"
    cells = kept_with(kept, finished(tmp_path))
    assert kept_with(kept, []) == cells
    report(tmp_path, cells)
    text = (tmp_path / "own_images.md").read_text()
    assert "## scikit-learn's digits, 8×8, 1 minutes" in text
    assert "| mine_s | 1 | " in text
    assert (tmp_path / "own_images.png").stat().st_size > 10_000

    cell.run_file.write_text(json.dumps({"seconds": 70.0, **same, "test_sha256": "", "models": []}))
    with pytest.raises(SystemExit, match="other images"):
        models_of(cell)


def test_a_cell_made_anew_takes_the_place_of_the_one_kept(tmp_path: Path) -> None:
    file = tmp_path / "own_images.json"
    assert kept_with(file, []) == []
    assert not file.exists()
    first, second = cell_of(model("run", "s", 97.0, ms=1.0)), cell_of() | {"seed": 1}
    assert kept_with(file, [second, first]) == [first, second]
    anew = cell_of(model("run", "s", 98.0, ms=1.0))
    assert kept_with(file, [anew]) == [anew, second]


def model(arm: str, name: str, top1_pct: float, ms: float, **more: float) -> dict[str, Any]:
    costs = {"macs": 1e6, "params": 1000, "latency_ms": ms, "size_bytes": 1000, "images": 100}
    return {"arm": arm, "name": name, "top1_pct": top1_pct, **costs, **more}


def cell_of(*models: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": "digits",
        "minutes": 5.0,
        "seed": 0,
        "noise_pct": 2.0,
        "run_seconds": 300,
        "models": list(models),
    }


def test_the_model_within_the_latency_is_not_chosen_by_its_test_score() -> None:
    baseline = model("baselines", "conv3_w16", 97.0, ms=0.0100)
    small, medium = model("run", "s", 99.0, ms=0.005), model("run", "m", 96.0, ms=0.0101)
    large = model("run", "l", 99.5, ms=0.02)
    assert as_fast(cell_of(baseline, small, medium, large), "conv3_w16") == medium
    better = small | {"search_top1_pct": 98.0}
    assert as_fast(cell_of(baseline, better, medium | {"search_top1_pct": 97.0}), "conv3_w16") == better
    assert as_fast(cell_of(baseline, large), "conv3_w16") is None


def test_a_verdict_is_within_the_baselines_deviation() -> None:
    def cells(ours: float) -> list[dict[str, Any]]:
        return [
            cell_of(model("baselines", "conv3_w16", top1, ms=0.01), model("run", "s", ours, ms=0.01))
            for top1 in (97.0, 98.0, 99.0)
        ]

    (level,) = verdicts_of(cells(97.5))
    assert (level.reached, level.words()) == (True, "level (-0.5)")
    (behind,) = verdicts_of(cells(96.5))
    assert (behind.reached, behind.words()) == (False, "behind by 1.5")
    (ahead,) = verdicts_of(cells(98.5))
    assert (ahead.reached, ahead.words()) == (True, "ahead by 0.5")
    slow = [cell_of(model("baselines", "conv3_w16", 97.0, ms=0.01), model("run", "s", 99.0, ms=0.02))]
    assert [(v.reached, v.words()) for v in verdicts_of(slow)] == [(False, "no model as fast")]
