"""Networks of timm's beside a run, on the real digits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from tiny_recipe import TINY, tiny_recipe

from anas_zoo.core.errors import CheckpointError, ConfigError
from anas_zoo.core.hints import Call, as_command_line
from anas_zoo.core.schema import parse
from anas_zoo.pipeline import Recipe, run_stages
from anas_zoo.pipeline.advice import advise, with_front
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.timm_beside import (
    TimmNetwork,
    check_networks,
    files_to_time,
    fitting,
    onnx_of,
    rate_at,
    result_of,
    rows_of,
    train_timm_network,
    untrained,
)
from anas_zoo.profiling import measure_latency
from anas_zoo.profiling.flops import profile_traced

SMALL = "test_resnet"  # of 0.5 M parameters, which timm has for tests


def run_in(folder: Path) -> Run:
    run = Run.start(folder, tiny_recipe(beside=[SMALL]))
    run.use_threads()
    return run


def test_it_is_trained_tested_and_exported_and_not_again(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    assert untrained(run) == [SMALL]
    onnx_of(run, SMALL).parent.mkdir()
    onnx_of(run, SMALL).write_bytes(b"of a training that was stopped")
    train_timm_network(run, SMALL, seconds=0.5)
    assert untrained(run) == []
    result = result_of(run, SMALL)
    assert result is not None
    assert result.measured is not None, result.failed
    assert not result.is_finished  # it has to be timed
    found = result.measured
    assert found.images == len(run.split.test)
    assert found.size_bytes == onnx_of(run, SMALL).stat().st_size
    assert found.top1_agreement_pct == 100
    assert found.onnx_top1_pct == pytest.approx(found.top1_pct)
    assert found.max_abs_logit_diff < 1e-3
    assert found.steps > 0
    latency = measure_latency(files_to_time(run), repeats=2)[SMALL]
    assert latency.input_shape == (1, 3, found.resolution, found.resolution)
    assert not list(tmp_path.rglob(".*"))


def test_without_minutes_it_has_the_recipes_epochs(tmp_path: Path) -> None:
    run = run_in(tmp_path / "run")
    train_timm_network(run, SMALL, seconds=None)
    result = result_of(run, SMALL)
    assert result is not None
    assert result.measured is not None
    assert result.measured.steps == TINY["train"]["epochs"] * (len(run.split.train) // 128)


def test_one_that_fails_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("an operator of no opset")

    run = run_in(tmp_path / "run")
    monkeypatch.setattr(torch.onnx, "export", refuse)
    train_timm_network(run, SMALL, seconds=0.1)
    result = result_of(run, SMALL)
    assert result is not None
    assert result.is_finished
    assert (untrained(run), files_to_time(run), rows_of(run)) == ([], {}, [])
    assert f"{SMALL} is not in the table: torch cannot export this network (an operator of" in caplog.text


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("resnet10", ConfigError, r"no network 'resnet10' \(did you mean 'resnet10t'\?\)"),
        ("resnet10t.another", ConfigError, "cannot make resnet10t.another .*another"),
        ("attentive_nas", ConfigError, "cannot make attentive_nas .*needs an architecture"),
        ("ghostnet_050:pretrained", CheckpointError, "could not get the weights of ghostnet_050"),
    ],
)
def test_unknown_networks_are_refused_before_anything_is_made(
    name: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        run_stages(tmp_path / "run", tiny_recipe(beside=[name]))
    assert not (tmp_path / "run").exists()


def test_what_is_trained_is_not_looked_for_again(tmp_path: Path) -> None:
    recipe = tiny_recipe(beside=["ghostnet_050:pretrained"])
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "ghostnet_050_pretrained.json").write_text("{}")
    check_networks(recipe, tmp_path)


def test_a_recipe_names_networks() -> None:
    assert tiny_recipe(beside=["resnet10t", "resnet10t"]).beside == ("resnet10t",)
    assert "beside" not in tiny_recipe().to_dict()
    for wrong in ("../resnet10t", "resnet10t:imagenet", "hf-hub:org/name", ""):
        with pytest.raises(ConfigError, match=r"beside: .*NAME or NAME:pretrained"):
            parse(Recipe, TINY | {"beside": [wrong]}, "recipe")


@pytest.mark.parametrize(
    ("name", "wanted", "side"),
    [(SMALL, 28, 28), ("test_vit", 28, 32), ("test_vit", 32, 32), ("levit_128s", 90, 96)],
)
def test_the_side_is_the_nearest_that_the_network_computes(name: str, wanted: int, side: int) -> None:
    model, found = fitting(TimmNetwork(name, False), 3, wanted)
    assert found == side
    assert profile_traced(model, found).macs > 0


def test_multiply_adds_are_those_that_are_published() -> None:
    model = TimmNetwork("resnet10t", False).make(1000)
    assert profile_traced(model, 176).macs == pytest.approx(0.7e9, rel=0.02)  # timm's results-imagenet.csv


def test_the_rate_rises_and_falls() -> None:
    rates = [rate_at(done / 100) for done in range(101)]
    assert max(rates) == rates[10] == 1
    assert rates[0] == pytest.approx(0.02)
    assert rates[100] == pytest.approx(0)


def row(name: str, latency_ms: float, top1_pct: float) -> dict[str, object]:
    scores = {"top1_pct": top1_pct, "search_top1_pct": top1_pct, "images": 1000}
    return {"name": name, "latency_ms": latency_ms} | scores


@pytest.mark.parametrize(
    ("timms", "said"),
    [
        (row("resnet10t", 0.2, 97), "is the better choice from 0.2 to 0.5 ms, at 97.00 % .* not published"),
        (
            row("resnet10t", 0.7, 99.9),
            "is the better choice from 0.7 ms on, at 99.90 % .* file is r.onnx",
        ),
        (row("resnet10t", 0.7, 98.1), "better choice from 0.7 ms on, .*, which is within noise; it is not"),
        (row("resnet10t", 0.05, 50), "nothing of ours is as fast as resnet10t: 50.00 % .* file is r.onnx"),
        (row("resnet10t", 0.7, 97), "beside has 97.00 % .* in 0.7 ms; mine_1 98.00 % .*, which is within"),
    ],
)
def test_the_advice_says_where_it_is_the_better_choice(timms: dict[str, object], said: str) -> None:
    rows = with_front([row("mine_0", 0.1, 90), row("mine_1", 0.5, 98), timms])
    more = Call("run", out="longer")
    advice = [
        as_command_line(parts)
        for parts in advise(rows, None, 1000, more, None, {"resnet10t": Path("r.onnx")})
    ]
    with_it = [line for line in advice if "resnet10t" in line]
    assert len(with_it) == 1
    assert re.search(said, with_it[0]), with_it
    assert any("mine_" in line and line.startswith(("take", "for less")) for line in advice)


@pytest.mark.slow
def test_a_whole_run_has_it_in_its_table_and_not_among_its_entries(tmp_path: Path) -> None:
    result = run_stages(tmp_path / "run", tiny_recipe(beside=[SMALL]))
    found = {one["name"]: one for one in result.rows}
    assert SMALL in found
    assert set(found[SMALL]) >= set(found["digits_s"])
    assert SMALL not in {entry.name for entry in result.entries}
    assert not (tmp_path / "run" / "zoo" / SMALL).exists()
    assert any(SMALL in as_command_line(parts) for parts in result.advice)
