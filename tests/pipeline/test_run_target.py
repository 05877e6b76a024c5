"""A run for a target: its milliseconds and accuracies are those of that target's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import small_supernets
from tiny_recipe import tiny_recipe

from anas_zoo.cli.demo import print_models
from anas_zoo.core.errors import ExportError, QuantizationError
from anas_zoo.core.hints import as_command_line
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target
from anas_zoo.pipeline import Run, RunResult, run_stages, winners
from anas_zoo.pipeline.deploy import file_top1_pct, table_row, time_drafts, validate_on_test_images
from anas_zoo.pipeline.export import export_also, export_entry
from anas_zoo.pipeline.run_search import timed_target
from anas_zoo.pipeline.truncated import probed
from anas_zoo.zoo.catalog import model_of

SETTINGS = ["yardstick=false", "try_flips=false", "search.subnets=2", "targets=[ort-web-fp32,litert-int8]"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, RunResult]:
    """A run from pretrained weights, whose models are drafts, as it has no licence."""
    folder = tmp_path_factory.mktemp("target")
    data = small_supernets.write_digits(folder / "mine", {0: "O", 1: "I", 8: "B"}, per_class=90)
    recipe = small_supernets.pretrained(small_supernets.write(folder / "init"), data, *SETTINGS)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(winners, "free_cores", lambda processes: 1)
        monkeypatch.setattr("anas_zoo.pipeline.whole_way.free_cores", lambda processes: 1)
        result = run_stages(folder / "run", recipe)
    return Run.open(folder / "run"), result


@pytest.mark.parametrize(
    ("named", "timed"),
    [
        ((), "ort-cpu-fp32"),
        (("litert-int8",), "litert-int8"),
        (("ort-web-fp32", "ort-cpu-int8", "litert-int8"), "ort-cpu-int8"),
        (("ort-cuda-fp16", "ort-web-fp32"), "ort-cpu-fp32"),
    ],
)
def test_the_first_target_that_this_machine_can_time_counts(named: tuple[str, ...], timed: str) -> None:
    assert timed_target(tiny_recipe(targets=named)).name == timed


def test_files_that_are_wrong_on_this_processor_are_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anas_zoo.profiling.machine.has_integer_dot_product", lambda: False)
    recipe = tiny_recipe(targets=("ort-vnni-int8",))
    assert timed_target(recipe).name == "ort-cpu-fp32"
    with pytest.raises(ExportError, match="need a processor with VNNI or dotprod"):
        run_stages(tmp_path / "run", recipe)
    assert not (tmp_path / "run").exists()


def test_too_few_images_for_int8_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    data = small_supernets.write_digits(tmp_path / "mine", {0: "O", 1: "I"})
    recipe = small_supernets.pretrained(small_supernets.write(tmp_path / "init"), data, *SETTINGS)
    with pytest.raises(QuantizationError, match="litert-int8 need at least 100 training images") as failed:
        run_stages(tmp_path / "run", recipe)
    assert as_command_line(failed.value.parts).endswith("leave out --target litert-int8")
    assert not (tmp_path / "run" / "probes").exists()


def test_the_table_is_of_the_targets_files(finished: tuple[Run, RunResult]) -> None:
    run, result = finished
    assert all(one.latency_ms is not None and one.latency_ms > 0 for one in probed(run))
    files = {row["name"]: row["file"] for row in result.rows}
    assert "model.litert-int8.tflite" in files.values()
    target = Target.load("litert-int8")
    for row in result.rows:
        draft = run.drafts()[row["name"]]
        report = Entry.read(draft).report
        info = report.files[row["file"]]
        assert info.target == row["target"]
        assert row["latency_ms"] == info.latency[0].p50_ms
        assert row["size_bytes"] == info.size_bytes
        assert report.files["model.onnx"].latency, "both are timed"
        assert not report.files["model.ort-web-fp32.onnx"].latency
        quickest = model_of(Entry.read(draft)).quickest
        assert quickest is not None
        assert quickest[0] == "model.onnx", "beside the accuracy of the weights"
        if info.target == target.name:
            side, parity = Entry(draft).config.resolution, info.parity
            assert parity is not None
            assert row["search_top1_pct"] == pytest.approx(parity.top1_pct)
            tested = file_top1_pct(draft / row["file"], target, run.test_images, side)
            assert row["top1_pct"] == pytest.approx(tested)
        else:
            assert report.refused


def test_what_is_printed_names_the_target(
    finished: tuple[Run, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    _, result = finished
    print_models(result, as_json=False)
    printed = capsys.readouterr().out
    heading, *_ = printed.splitlines()
    assert heading.split()[:2] == ["name", "target"]
    assert "file kB" in heading
    assert "(litert-int8)" in printed
    (file,) = [row["file"] for row in result.rows if row["name"] == result.recommended.name]
    assert f"{result.recommended.as_posix()}/{file}" in printed


def test_a_draft_is_validated_by_one_file_and_timed_by_all(finished: tuple[Run, RunResult]) -> None:
    run, _ = finished
    name, drafted = next(iter(run.drafts().items()))
    draft = run.drafts_folder / f"{name}_again"
    shutil.copytree(drafted, draft)
    try:
        export_entry(draft)
        assert export_also(draft, "litert-fp32") is not None
        assert validate_on_test_images(draft, run.test_images, only="model.onnx").keys() == {"model.onnx"}
        assert time_drafts({name: draft}, {"other": draft / "model.onnx"}).keys() == {"other"}
        files = Entry.read(draft).report.files
        assert files["model.onnx"].latency
        assert files["model.litert-fp32.tflite"].latency
        row = table_row(draft, "model.litert-fp32.tflite")
        assert row["latency_ms"] == files["model.litert-fp32.tflite"].latency[0].p50_ms
    finally:
        shutil.rmtree(draft)
