from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from catalog_entries import FIRST_FORMAT
from command_line import files_below, refused, succeeded
from PIL import Image

import anas_zoo
from anas_zoo.core.resources import resource_folder

Change = Callable[[Path], Any]


def test_list_has_every_model_of_the_shelf(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeded(capsys, "list")
    models = json.loads(succeeded(capsys, "list", "--json"))
    assert sorted(model["name"] for model in models) == anas_zoo.list_models()
    for name in anas_zoo.list_models():
        assert f"\n{name} " in text
    a0 = next(model for model in models if model["name"] == "attentive_nas_a0")
    assert a0["macs"] // 1_000_000 == 203  # the paper's figure
    assert (a0["top1_kind"], a0["has_weights"], a0["resolution"]) == ("published", False, 192)


def test_show_an_entry_in_a_folder(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeded(capsys, "show", entry)
    assert text.startswith(f"tiny  ({entry})\n")
    assert "zero, one, two, three" in text
    assert "measured on 16 images of noise (test)" in text
    assert f"anas predict {entry} IMAGE" in text
    data = json.loads(succeeded(capsys, "show", entry, "--json"))
    assert data["config"] == json.loads((entry / "config.json").read_text())
    assert data["report"] == json.loads((entry / "report.json").read_text())
    assert data["files"]["model.onnx"] == (entry / "model.onnx").stat().st_size
    assert data["summary"]["top1_kind"] == "measured"


def test_the_shown_line_loads_the_model(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(succeeded(capsys, "show", entry, "--json"))
    line = next(line for line in data["loading"] if line.startswith("python: "))
    names: dict[str, Any] = {}
    exec(line.removeprefix("python: "), names)
    assert names["model"].num_classes == 4


def test_profile_is_one_table_of_all_counts(
    entry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(succeeded(capsys, "profile", entry, "--json"))
    graph = data["onnx"]["model.onnx"]
    assert graph["macs"] == data["macs"] == sum(data["macs_by_kind"].values())
    # Untrained biases are alike, and the exporter stores those once.
    assert 0.99 * data["params_folded"] < graph["weights"] + graph["biases"] <= data["params_folded"]
    assert data["params_folded"] < data["params"] < data["params_authors"]
    text = succeeded(capsys, "profile", entry)
    assert text.startswith("tiny at 6×6\n")
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    for what in ("multiply-adds, exact", "fvcore, conv + linear", "model.onnx, its graph"):
        assert f" {data['macs']:,} " in lines[what]
    assert f" {data['params_authors']:,} " in lines["as the AttentiveNAS authors count"]
    assert "480x640; got 'big'" in refused(capsys, "profile", entry, "--image-size", "big")
    copy = Path(shutil.copytree(entry, tmp_path / "copy"))
    (copy / "model.onnx").write_text("no model")
    (copy / "manifest.json").unlink()
    assert "not a whole ONNX file" in refused(capsys, "profile", copy)


def test_profile_without_weights_has_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(succeeded(capsys, "profile", "attentive_nas_a0", "--json"))
    assert (data["macs"], data["params"], data["params_authors"]) == (203_389_568, 8_954_184, 9_064_648)
    assert "onnx" not in data


def test_predict(entry: Path, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads(succeeded(capsys, "predict", entry, image, image, "--json"))
    assert [result["image"] for result in results] == [str(image)] * 2
    predictions = results[0]["predictions"]
    assert {one["label"] for one in predictions} == {"zero", "one", "two", "three"}
    percents = [one["probability_pct"] for one in predictions]
    assert percents == sorted(percents, reverse=True)
    assert sum(percents) == pytest.approx(100.0)
    text = succeeded(capsys, "predict", entry, image, "--top", "1", "--file", "model.onnx")
    assert text.splitlines()[2].split() == [str(image), predictions[0]["label"], f"{percents[0]:.2f}"]
    assert len(text.splitlines()) == 3
    assert "no exported file 'other.onnx'" in refused(capsys, "predict", entry, image, "--file", "other.onnx")


def test_verify(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert succeeded(capsys, "verify", entry).startswith("tiny: verified\n")
    data = json.loads(succeeded(capsys, "verify", entry, "--json"))
    assert data["golden_images"] == 2
    assert data["onnx_max_abs_diff"].keys() == {"model.onnx"}


def test_publish(draft: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "deep" / "entry"
    data = json.loads(succeeded(capsys, "publish", draft, "--to", target, "--json"))
    assert data == {"folder": str(target)}
    assert (target / "manifest.json").is_file()
    assert f"anas verify {tmp_path / 'two'}" in succeeded(capsys, "publish", draft, "--to", tmp_path / "two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["show", "attentive_nas_a9"],
            "no model named 'attentive_nas_a9' on the shelf (did you mean 'attent",
        ),
        (["show", "hf://model"], "'hf://model' is not a valid address of the Hub; write hf://org/name"),
        (["predict", "attentive_nas_a0", "image.png"], "attentive_nas_a0 has no weights on the shelf"),
        (["predict", "{entry}", "absent.png"], "absent.png: no such file"),
        (["predict", "{entry}", "image.png", "cut.png"], "cut.png: unreadable image"),
        (["publish", "{draft}", "--to", "out", "--private"], "--private is for repositories of the Hub"),
        (["pull", "./nowhere", "--out", "out"], "nowhere: no such folder"),
        (["pull", "{entry}", "--out", "."], "already holds"),
        (["publish", "{draft}", "--to", "."], "already holds"),
        (["publish", "{draft}", "--to", "image.png"], "is a file"),
        (["publish", "{draft}", "--to", "image.png/entry"], "cannot write"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    arguments: list[str],
    said: str,
    draft: Path,
    entry: Path,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = image.parent
    monkeypatch.chdir(folder)
    Image.effect_noise((64, 64), 50).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:300])
    before = files_below(folder)
    assert said in refused(capsys, *(a.format(draft=draft, entry=entry) for a in arguments))
    assert files_below(folder) == before


def _edit_json(name: str, *keys: str, value: Any) -> Change:
    def change(folder: Path) -> None:
        data = json.loads((folder / name).read_text())
        inner = data
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        (folder / name).write_text(json.dumps(data))

    return change


def _truncate(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])

    return change


@pytest.mark.parametrize(
    ("command", "change", "said"),
    [
        ("publish", _edit_json("config.json", "num_clases", value=4), "(did you mean 'num_classes'?)"),
        ("publish", lambda f: (f / "config.json").write_text("{"), "config.json: not valid JSON"),
        ("publish", _edit_json("report.json", "accuracy", value=None), "gate 'accuracy'"),
        ("publish", _truncate("model.onnx"), "gate 'parity'"),
        ("verify", _truncate("model.onnx"), "model.onnx was altered"),
        ("show", _truncate("report.json"), "report.json was altered"),
        ("predict", _truncate("model.onnx"), "model.onnx"),
    ],
)
def test_a_spoilt_entry_is_refused_in_one_line(
    command: str,
    change: Change,
    said: str,
    draft: Path,
    entry: Path,
    image: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = image.parent / "copy"
    shutil.copytree(draft if command == "publish" else entry, folder)
    change(folder)
    before = files_below(image.parent)
    more: dict[str, list[str | Path]] = {"publish": ["--to", image.parent / "out"], "predict": [image]}
    assert said in refused(capsys, command, folder, *more.get(command, []))
    assert files_below(image.parent) == before


def test_list_keeps_limits_and_lists_folders(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = json.loads(succeeded(capsys, "list", "--max-mflops", "0.1", "--json"))
    assert [(model["name"], model["top1_kind"]) for model in models] == [("digits_s", "measured")]
    assert (
        succeeded(capsys, "list", "--min-top1-pct", "99.9")
        == f"none of {len(anas_zoo.list_models())} models matches\n"
    )
    text = succeeded(capsys, "list", "--licence", "CC-BY-NC-4.0")
    assert text.startswith("top-1 published for ImageNet-1k, not measured here\n")
    assert "alphanet_a0, smallest of attentive_nas" in text
    (one,) = json.loads(succeeded(capsys, "list", "--in", entry.parent / "tiny", "--json"))
    assert (one["name"], one["top1_data"], one["folder"]) == ("tiny", "noise", "tiny")
    assert "licences: apache-2.0, cc-by-nc-4.0, mit" in refused(capsys, "list", "--licence", "gpl-3.0")
    assert "no such folder" in refused(capsys, "list", "--in", "nowhere")


def test_another_name_of_an_architecture_leads_to_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert succeeded(capsys, "show", "alphanet_a0").startswith("attentive_nas_a0  (")
    shown = json.loads(succeeded(capsys, "show", "2da0ac9b74d9", "--json"))
    assert shown["summary"]["name"] == "attentive_nas_a0"


def test_diff(entry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeded(capsys, "diff", "attentive_nas_a0", "attentive_nas_a1")
    assert text.startswith("attentive_nas_a0 and attentive_nas_a1: two architectures, ")
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["macs"][1:] == ["203,389,568", "279,238,816"]
    assert lines["width[head]"][1:] == ["1792", "1984"]
    assert "depth" not in text
    data = json.loads(succeeded(capsys, "diff", FIRST_FORMAT, entry, "--json"))
    assert data["same_architecture"] is True  # of another number of classes
    assert {"part": "architecture", "what": "num_classes", "a": 10, "b": 4} in data["differences"]
    same = json.loads(succeeded(capsys, "diff", "attentive_nas_a0", "smallest of attentive_nas", "--json"))
    assert (same["differences"], same["same_architecture"]) == ([], True)


def test_show_tells_everything_of_the_files(
    entry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(entry, tmp_path / "copy"))
    (copy / "manifest.json").unlink()
    report = json.loads((copy / "report.json").read_text())
    report["files"]["model.onnx"] |= {"input": "uint8-nhwc", "target": "tensorrt-fp16"}
    report["files"]["model.onnx"]["parity"]["not_run_here"] = "no such runtime"
    report["refused"] = {"model.int8.onnx": "slower than float"}
    report["further_accuracy"] = [report["accuracy"] | {"top5_pct": 88.25, "source": "elsewhere"}]
    (copy / "report.json").write_text(json.dumps(report))
    lines = [line.split() for line in succeeded(capsys, "show", copy).splitlines()]
    told = next(words for words in lines if words[:1] == ["model.onnx"])
    assert told[:4] == ["model.onnx", "tensorrt-fp16", "fp16", "uint8-nhwc"]
    assert ["model.onnx:", "no", "such", "runtime"] in lines
    assert ["model.int8.onnx:", "slower", "than", "float"] in lines
    assert any(words[3:8] == ["88.25", "%", "16", "test", "elsewhere"] for words in lines)


def test_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = resource_folder("models")
    data = json.loads(succeeded(capsys, "index", shelf, "--out", tmp_path / "out", "--json"))
    assert data == {"folder": str(tmp_path / "out"), "models": len(anas_zoo.list_models()), "left_out": {}}
    assert sorted(files_below(tmp_path / "out")) == ["index.html", "index.json"]
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert all(model["accuracy"] for model in index["models"][:3])
    assert "already holds" in refused(capsys, "index", shelf, "--out", tmp_path / "out")
    for source, said in [
        ("hf://org/name", "give an organisation"),
        ("hf://", "give an organisation"),
        ("nowhere", "no such folder"),
    ]:
        assert said in refused(capsys, "index", source, "--out", tmp_path / "other")
    assert "pull them into a folder" in refused(
        capsys, "index", "hf://org", "--with-client", "--out", tmp_path / "other"
    )
    assert not (tmp_path / "other").exists()
