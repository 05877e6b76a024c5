"""The table of costs: every number in it, and why the numbers differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from catalog_entries import FIRST_FORMAT

from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import Cost, Entry, EntryReport
from anas_zoo.nets import Subnet
from anas_zoo.profiling import count_onnx_macs, profile_flops
from anas_zoo.zoo import model_card
from anas_zoo.zoo.cost_table import CostRow, cost_rows

SHELF = resource_folder("models")


@pytest.fixture(scope="module")
def cost() -> Cost:
    """Of a small entry, with all that can be known."""
    config = Entry.read(FIRST_FORMAT).config
    subnet = Subnet(config.arch, config.structure, num_classes=config.num_classes)
    report = profile_flops(subnet.eval(), config.arch.resolution)
    return Cost(**report.to_dict(), onnx={"model.onnx": count_onnx_macs(FIRST_FORMAT / "model.onnx")})


def rows_of(cost: Cost) -> dict[str, CostRow]:
    return {row.what: row for row in cost_rows(cost)}


def numbers(row: CostRow) -> tuple[int, int | None]:
    return row.count, row.difference


def test_every_count_is_there_and_agrees(cost: Cost) -> None:
    rows = rows_of(cost)
    assert len(rows) == len(cost_rows(cost))
    assert rows["multiply-adds, exact"].count == 57_624
    assert numbers(rows["fvcore, conv + linear"]) == (57_624, 0)
    assert numbers(rows["fvcore, its total"]) == (64_168, 6_544)
    assert numbers(rows["model.onnx, its graph"]) == (57_624, 0)
    assert rows["fvcore, conv + linear"].why == rows["model.onnx, its graph"].why == "agrees"
    assert rows["  Conv"].count + rows["  Gemm"].count == 57_624
    assert rows["parameters, live"].count == 14_586
    assert numbers(rows["as the AttentiveNAS authors count"]) == (14_650, 8 * 8)
    assert rows["with batch norm folded"].count == rows["model.onnx, weights and biases"].count == 14_306
    assert rows["model.onnx, weights and biases"].why == "batch norm folded: agrees"


def test_a_merged_shortcut_is_explained(cost: Cost) -> None:
    assert cost.onnx is not None
    plain = cost.onnx["model.onnx"]
    kinds = plain.by_kind | {"pointwise": plain.by_kind["pointwise"] - 1_000, "pooled": 4_000}
    merged = plain.model_copy(
        update={"macs": plain.macs + 3_000, "by_kind": kinds, "weights": plain.weights + 300}
    )
    rows = rows_of(cost.model_copy(update={"onnx": {"model.onnx": merged}}))
    assert rows["model.onnx, its graph"].difference == 3_000
    assert rows["model.onnx, its graph"].why == (
        "1×1 convolutions: -1,000; average pool and 1×1 convolution of shortcuts as one convolution: +4,000"
    )
    assert "+300 beside it, larger kernels of shortcuts" in rows["model.onnx, weights and biases"].why


def test_biases_that_a_file_shares_are_explained(cost: Cost) -> None:
    assert cost.onnx is not None
    plain = cost.onnx["model.onnx"]
    shared = cost.model_copy(
        update={"onnx": {"model.onnx": plain.model_copy(update={"biases": plain.biases - 50})}}
    )
    why = rows_of(shared)["model.onnx, weights and biases"].why
    assert why == "batch norm folded, and -50 beside it: the file stores equal ones once"


def test_layers_of_another_network_are_not_called_agreement(cost: Cost) -> None:
    assert cost.onnx is not None
    plain = cost.onnx["model.onnx"]
    kinds = plain.by_kind | {"stem": plain.by_kind["stem"] + 7, "linear": plain.by_kind["linear"] - 7}
    other = cost.model_copy(update={"onnx": {"model.onnx": plain.model_copy(update={"by_kind": kinds})}})
    why = rows_of(other)["model.onnx, its graph"].why
    assert why == "the first convolution: +7; linear layers and 1×1 convolutions of single pixels: -7"


def test_preprocessing_is_a_row_of_its_own(cost: Cost) -> None:
    assert cost.onnx is not None
    photo = {"preprocessing_macs": {"MatMul": 12_345}, "input_shape": (1, 480, 640, 3)}
    graph = cost.onnx["model.onnx"].model_copy(update=photo)
    rows = rows_of(cost.model_copy(update={"onnx": {"model.u8.onnx": graph}}))
    assert rows["  MatMul of preprocessing"].count == 12_345
    assert "1×480×640×3" in rows["  MatMul of preprocessing"].why
    assert rows["model.u8.onnx, its graph"].why == "agrees"


def test_a_report_from_before_gives_the_rows_that_it_can() -> None:
    cost = Cost(macs=10, params=4, resolution=6)
    assert [row.what for row in cost_rows(cost)] == ["multiply-adds, exact", "parameters, live"]


@pytest.mark.parametrize("path", sorted(SHELF.glob("*/report.json")), ids=lambda path: path.parent.name)
def test_costs_of_the_shelf_are_written_as_they_were_read(path: Path) -> None:
    recorded = json.loads(path.read_text())["cost"]
    assert Cost.model_validate(recorded).model_dump(mode="json") == recorded


def test_the_card_shows_the_same_rows(cost: Cost) -> None:
    entry = Entry.read(FIRST_FORMAT)
    report = entry.report.model_copy(update={"cost": cost})
    card = model_card(entry.config, report)
    for row in cost_rows(cost):
        assert f"{row.what.strip()} | {row.count:,} | {row.why} |" in card
    assert EntryReport.model_validate(report.to_dict()).cost == cost
