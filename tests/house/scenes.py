"""What a reader has before typing a printed block: small images, runs, checkpoints. Each is real, none is trained."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from sklearn.datasets import load_digits

from anas_zoo.nets import Supernet, save_supernet
from anas_zoo.pipeline import Recipe, Run

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / name) for name in ("nets", "pipeline", "cli")]
from golden_network import golden_state
from letters import write_letters
from searching_digits import write_predictor

__all__ = ["SCENES", "SEARCH", "TRAIN"]

# Settings with which a training and a search take seconds; they change no command's meaning.
TRAIN = "--set train.epochs=1 --set train.warmup_epochs=0 --set train.subnets_per_step=2 --set train.batch_size=16"
SEARCH = (
    "--set search.evaluations=6 --set search.calibration_images=32 --set search.calibration_batch_size=16 "
    '--set "search.surrogate={initial: 4, batch: 2, population: 8, generations: 2}"'
)


def _images(checkout: Path) -> None:
    write_letters(checkout / "path/to/images", per_class=20)


def _three(checkout: Path) -> None:
    Image.fromarray(load_digits().images[3].astype("uint8") * 15).save(checkout / "three.png")


def _run(checkout: Path, name: str, recipe: str, data: str | None, classes: int) -> None:
    settings = [
        word.strip('"') for word in (f"{TRAIN} {SEARCH}").replace("--set ", "\n").splitlines() if word
    ]
    settings = [setting.strip().strip('"') for setting in settings]
    run = Run.start(checkout / name, Recipe.load(recipe, data=data, settings=settings))
    supernet = Supernet(run.space, classes, generator=torch.Generator().manual_seed(0))
    save_supernet(run.supernet_file, supernet, {})


def _mine(checkout: Path) -> None:
    if not (checkout / "path").exists():
        _images(checkout)
    _run(checkout, "runs/mine", "small_images", str(checkout / "path/to/images"), 4)


def _extracted(checkout: Path) -> None:
    from anas_zoo.cli import main

    _mine(checkout)
    assert main(["search", "runs/mine"]) == 0
    assert main(["extract", "runs/mine", "--max-mflops", "100"]) == 0
    assert main(["export", "runs/mine/subnets/mine_0"]) == 0


def _digits_run(checkout: Path) -> None:
    _run(checkout, "runs/digits", "digits", None, 10)


def _predictor(checkout: Path) -> None:
    write_predictor(checkout / "predictor.onnx", "attentive_nas")


def _checkpoint(checkout: Path) -> None:
    torch.save({"state_dict": golden_state()}, checkout / "CHECKPOINT")


def _imported(checkout: Path) -> None:
    """What importing made of the checkpoint, as the guide does it before."""
    from anas_zoo.pipeline.import_authors import import_authors

    _checkpoint(checkout)
    images = write_letters(checkout / "calibration", per_class=20)
    import_authors(
        checkout / "CHECKPOINT", images, checkout / "runs/authors", models=["attentive_nas_a0"], max_images=16
    )


def _latency(checkout: Path) -> None:
    from anas_zoo.cli import main

    sizes = ["--num-classes", "4", "--subnets", "14", "--held-out", "3", "--repeats", "5"]
    assert main(["latency", "fit", "--space", "small_images", "--out", "here.json", *sizes]) == 0


def _imagenet(checkout: Path) -> None:
    """A thousand classes, one tiny image in each."""
    images = [Image.fromarray(image.astype("uint8") * 15) for image in load_digits().images[:8]]
    for part in ("train", "val"):
        for number in range(1000):
            folder = checkout / "path/to/imagenet" / part / f"{number:04}"
            folder.mkdir(parents=True)
            images[number % 8].save(folder / "0.png")


def _entry(checkout: Path) -> None:
    """A published entry of the reader's own."""
    shutil.copytree(checkout / "models/digits_m", checkout / "zoo/letters")


def _forest(checkout: Path) -> None:
    shutil.copyfile(TESTS / "golden" / "forest_sklearn_0_23.joblib", checkout / "FILE.joblib")


SCENES: dict[str, Callable[[Path], None]] = {
    "images": _images,
    "three.png": _three,
    "runs/mine": _mine,
    "runs/mine, extracted": _extracted,
    "runs/digits": _digits_run,
    "predictor.onnx": _predictor,
    "CHECKPOINT": _checkpoint,
    "imported": _imported,
    "here.json": _latency,
    "imagenet": _imagenet,
    "zoo/letters": _entry,
    "FILE.joblib": _forest,
}
