"""The node client on published entries: the same classes as in Python, and a check that can fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import python_client
from catalog_entries import FIRST_FORMAT
from javascript import classify, run_cases
from PIL import Image
from pillow_version import with_pillow_13
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_sample_image

from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo import Classifier

SHELF = resource_folder("models")


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of a published entry that drops transparency, to be damaged."""
    return Path(shutil.copytree(FIRST_FORMAT, tmp_path / "digits_s"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photographs of several sizes as PNG and JPEG."""
    folder = tmp_path_factory.mktemp("pictures")
    photo = Image.fromarray(load_sample_image("flower.jpg"))
    paths = [folder / name for name in ("whole.jpg", "small.png", "tall.png")]
    for path, size in zip(paths, ((640, 427), (8, 8), (50, 211)), strict=True):
        photo.resize(size).save(path)
    return paths


def test_the_golden_check_passes() -> None:
    done = classify(SHELF / "digits_s", "--check", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    golden = load_file(SHELF / "digits_s" / "golden.safetensors")["logits"]
    parity = json.loads((SHELF / "digits_s" / "report.json").read_text())["files"]["model.onnx"]["parity"]
    allowed = 1e-4 * np.abs(golden).max() + 2 * parity["max_abs_logit_diff"]
    assert result.pop("allowed") == pytest.approx(allowed, rel=1e-6)
    assert 0 <= result.pop("max_abs_diff") < 1e-4
    assert result == {"entry": "digits_s", "file": "model.onnx", "ok": True, "golden_images": len(golden)}
    said = classify(SHELF / "digits_s", "--check").stdout
    assert said.startswith("digits_s: 8 golden images, largest difference ")
    assert said.endswith(": OK\n")


@with_pillow_13
def test_classes_are_those_of_python(pictures: list[Path]) -> None:
    done = classify(SHELF / "digits_m", *pictures, "--json", "--top", "3")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads(done.stdout)
    assert [result["image"] for result in results] == [str(path) for path in pictures]
    for result, best in zip(results, Classifier(SHELF / "digits_m").predict(pictures, top_k=3), strict=True):
        got = result["predictions"]
        assert [(one["index"], one["label"]) for one in got] == [(one.index, one.label) for one in best]
        percents = [one.probability_pct for one in best]
        assert [one["probability_pct"] for one in got] == pytest.approx(percents, abs=1e-3)


def test_transparent_parts_are_taken_as_the_entry_says(entry: Path, tmp_path: Path) -> None:
    image = Image.new("LA", (8, 8), (0, 0))  # black strokes on nothing: without its transparency all is black
    for row in range(1, 7):
        image.putpixel((3, row), (0, 255))
        image.putpixel((5, row), (200, 128))
    image.save(picture := tmp_path / "picture.png")
    dropped = json.loads(classify(entry, picture, "--json").stdout)[0]["predictions"]
    change_json(entry / "config.json", lambda c: c["anas"]["preprocessing"].update(transparency="white"))
    white = json.loads(classify(entry, picture, "--json").stdout)[0]["predictions"]
    assert white != dropped
    for found, want in ((white, Classifier(entry)), (dropped, Classifier(FIRST_FORMAT))):
        for one, best in zip(found, want.predict([picture])[0], strict=True):
            assert (one["label"], one["probability_pct"]) == (
                best.label,
                pytest.approx(best.probability_pct, abs=1e-3),
            )
    alone = python_client.client.Classifier(entry)(picture)
    assert [one.label for one in alone] == [one["label"] for one in white]


def change_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def shifted_logits(entry: Path) -> None:
    tensors = load_file(entry / "golden.safetensors")
    tensors["logits"][3, 7] += 0.01
    save_file(tensors, entry / "golden.safetensors")


def test_the_golden_check_fails_on_other_logits(entry: Path) -> None:
    shifted_logits(entry)
    done = classify(entry, "--check", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    assert done.stderr == f"classify: error: {entry}: model.onnx does not give the golden logits\n"


def other_model(entry: Path) -> None:
    shutil.copy(SHELF / "digits_m" / "model.onnx", entry / "model.onnx")


def unknown_mode(entry: Path) -> None:
    change_json(entry / "config.json", lambda config: config["anas"]["preprocessing"].update(mode="squash"))


def few_labels(entry: Path) -> None:
    change_json(entry / "config.json", lambda config: config.update(label_names=["a\x1b[31m"]))


def way_out(entry: Path) -> None:
    def change(report: dict[str, Any]) -> None:
        report["files"] = {"../model.onnx": report["files"]["model.onnx"]}

    change_json(entry / "report.json", change)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (other_model, "model.onnx is not the file that report.json measured (SHA-256 differs)"),
        (unknown_mode, "preprocessing mode 'squash' is unknown to this client; it knows native, reference"),
        (few_labels, "config.json: label_names are not 10 texts"),
        (way_out, 'the entry has no exported file "../model.onnx"; it has ../model.onnx'),
    ],
)
def test_a_damaged_entry_is_one_line(spoil: Callable[[Path], None], said: str, entry: Path) -> None:
    spoil(entry)
    done = classify(entry, "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("classify: error: ")
    assert done.stderr.endswith(f"{said}\n")


def test_labels_cannot_steer_the_terminal(entry: Path, pictures: list[Path]) -> None:
    labels = [f"\x1b[31m{digit}" for digit in range(10)]
    change_json(entry / "config.json", lambda config: config.update(label_names=labels))
    done = classify(entry, pictures[0])
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\N{REPLACEMENT CHARACTER}[31m" in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["entry"], "no IMAGE given"),
        (["entry", "a.png", "--top", "0"], "--top is '0', not a number from 1"),
        (["entry", "a.png", "--best"], "Unknown option '--best'"),
    ],
)
def test_a_wrong_command_line_is_one_line(args: list[str], said: str) -> None:
    done = classify(*args)
    wanted = f"classify: error: {said}; see: node classify.mjs --help\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)


def test_drawn_digits_are_recognised(tmp_path: Path) -> None:
    # A seven with a bar and an upright one, in parts of the drawing area.
    seven = [[(0.28, 0.12), (0.72, 0.12), (0.45, 0.9)], [(0.35, 0.5), (0.66, 0.5)]]
    one = [[(0.35, 0.3), (0.52, 0.12), (0.52, 0.9)]]
    drawings = {"7": seven, "1": one}
    cases = [
        {"do": "scan", "strokes": [[{"x": x, "y": y} for x, y in stroke] for stroke in drawing]}
        for drawing in drawings.values()
    ]
    for digit, result in zip(drawings, run_cases(tmp_path, cases), strict=True):
        scan = np.fromfile(result["file"], np.uint8).reshape(8, 8, 3)
        assert 300 * 255 < 16 * scan[..., 0].astype(int).sum() < 320 * 255  # as much ink as a real scan
        Image.fromarray(scan).save(path := tmp_path / f"{digit}.png")
        assert Classifier(SHELF / "digits_m").predict([path], top_k=1)[0][0].label == digit
