"""The stages one by one, on a user's own folder of images, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import refused, succeeded

from anas_zoo.cli import main
from anas_zoo.data import DigitsSource

RECIPE = {
    "name": "mine",
    "space": "digits",
    "data": "replaced by --data",
    "licence": "CC-BY-4.0",
    "threads": 1,
    "train": {
        "epochs": 1,
        "batch_size": 32,
        "subnets_per_step": 3,
        "warmup_epochs": 0,
        "sampling": {"prior_draws": 2000, "prior_bins": 10},
    },
    "search": {"evaluations": 3, "calibration_images": 32, "subnets": 1},
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Real digits as PNG files, three classes."""
    source, root = DigitsSource(), tmp_path / "images"
    for label in range(3):
        (root / f"digit {label}").mkdir(parents=True)
        for index in np.flatnonzero(source.labels == label)[:20]:
            source.image(int(index)).resize((20, 24)).save(root / f"digit {label}" / f"{index}.png")
    return root


@pytest.mark.slow
def test_from_a_folder_of_images_to_a_published_entry(
    recipe: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    succeeded(capsys, "train", "--recipe", recipe, "--data", images, "--out", run)
    assert "already holds" in refused(capsys, "train", "--recipe", recipe, "--data", images, "--out", run)
    found = json.loads(succeeded(capsys, "search", run, "--json"))
    assert found["front"]
    assert "within" in refused(capsys, "extract", run, "--max-mflops", "0.001")
    succeeded(capsys, "extract", run)
    draft = run / "subnets" / "mine_0"
    assert "gate 'parity'" in refused(capsys, "publish", draft, "--to", tmp_path / "early")
    assert not (tmp_path / "early").exists()
    assert "no exported file" in refused(capsys, "validate", draft)
    assert "no target named 'ort'" in refused(capsys, "export", draft, "--target", "ort")
    succeeded(capsys, "export", draft)
    parity = json.loads(succeeded(capsys, "validate", draft, "--json"))["model.onnx"]
    assert parity["images"] == len(json.loads((run / "split.json").read_text())["test"])
    entry = tmp_path / "entry"
    succeeded(capsys, "publish", draft, "--to", entry)
    succeeded(capsys, "verify", entry)
    profile = json.loads(succeeded(capsys, "profile", entry, "--json"))
    shown = json.loads(succeeded(capsys, "show", entry, "--json"))
    assert profile == shown["report"]["cost"]  # what was noted on the way is what is counted again
    assert profile["onnx"]["model.onnx"]["macs"] == profile["macs"]
    image = next((images / "digit 1").iterdir())
    predicted = json.loads(succeeded(capsys, "predict", entry, image, "--json"))
    assert "digit" in json.dumps(predicted)
    assert "mine_0/model.onnx" in succeeded(capsys, "bench", entry, "--repeats", "3")
    assert "published" in refused(capsys, "export", entry)
    assert succeeded(capsys, "validate", entry)


def test_wrong_inputs_are_one_line(
    recipe: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert "did you mean 'digits'" in refused(capsys, "demo", "--recipe", "digit", "--out", out)
    assert "no data source" in refused(capsys, "train", "--recipe", recipe, "--data", "x", "--out", out)
    assert not out.exists()
    (images / "digit 3").mkdir()
    next((images / "digit 1").iterdir()).rename(images / "digit 3" / "one.png")
    assert "1 image of class 'digit 3'; at least 3 of each class are needed" in refused(
        capsys, "train", "--recipe", recipe, "--data", images, "--out", out
    )
    assert not out.exists()
    assert "is neither the folder of a run" in refused(capsys, "search", tmp_path)
    assert "not the folder of a run" in refused(capsys, "extract", tmp_path)
    assert "no exported file" in refused(capsys, "bench", "attentive_nas_a0")
    assert "is published" in refused(capsys, "export", "attentive_nas_a0")
    assert "none.pth" in refused(
        capsys, "import", "attentive-nas", tmp_path / "none.pth", "--data", images, "--entries", out
    )
    assert not out.exists()


@pytest.mark.slow
def test_images_without_a_recipe_get_the_one_for_images_and_a_note(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    quick = ["train.epochs=1", "train.batch_size=16", "train.subnets_per_step=2", "train.warmup_epochs=0"]
    quick += ["train.sampling.prior_draws=2000", "train.evaluation.images=8", "train.evaluation.sampled=1"]
    quick += ["train.evaluation.calibration_images=8"]
    settings = [word for setting in quick for word in ("--set", setting)]
    assert main(["train", "--data", str(images), "--out", str(out), *settings]) == 0
    said = "no --recipe given, so it is own_images, which fits the search space to the images"
    assert said in capsys.readouterr().err
    recipe = json.loads((out / "run.json").read_text())["recipe"]
    assert (recipe["name"], recipe["space"], recipe["licence"]) == ("mine", "tiny", None)
