"""What a reader has before typing a printed block: images, runs, checkpoints; real and small."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from golden_network import golden_state
from letters import write_letters
from PIL import Image
from searching_digits import write_predictor
from sklearn.datasets import load_digits
from supernet_folders import fresh_supernet, write_supernet

from anas_zoo.cli import main
from anas_zoo.nets import Supernet
from anas_zoo.pipeline import Recipe, Run

# Settings with which a training and a search take seconds; they change no command's meaning.
TRAIN = (
    "--set train.epochs=1 --set train.warmup_epochs=0 --set train.subnets_per_step=2 "
    "--set train.batch_size=16"
)
SEARCH = (
    "--set search.evaluations=6 --set search.calibration_images=32 --set search.calibration_batch_size=16 "
    '--set "search.surrogate={initial: 4, batch: 2, population: 8, generations: 2}"'
)


def _images(checkout: Path) -> None:
    write_letters(checkout / "path/to/images", per_class=20)


def _three(checkout: Path) -> None:
    Image.fromarray(load_digits().images[3].astype("uint8") * 15).save(checkout / "three.png")


def _run(checkout: Path, name: str, recipe: str, data: str | None, classes: int) -> None:
    """A run whose supernet nobody trained: searching it is as much work."""
    settings = shlex.split(f"{TRAIN} {SEARCH}")[1::2]
    run = Run.start(checkout / name, Recipe.load(recipe, data=data, settings=settings))
    supernet = Supernet(run.space, classes, generator=torch.Generator().manual_seed(0))
    run.write_supernet(run.supernet_folder, supernet)


def _mine(checkout: Path) -> None:
    if not (checkout / "path").exists():
        _images(checkout)
    _run(checkout, "runs/mine", "own_images", str(checkout / "path/to/images"), 4)


def _extracted(checkout: Path) -> None:
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


def _fit(space: str, out: Path) -> None:
    sizes = ["--num-classes", "4", "--subnets", "16", "--held-out", "3", "--repeats", "8"]
    assert main(["latency", "fit", "--space", space, "--out", str(out), *sizes]) == 0


@cache
def _measured() -> bytes:
    """A latency model of the space for small images, measured here and once."""
    with tempfile.TemporaryDirectory() as folder:
        _fit("tiny", Path(folder) / "here.json")
        return Path(folder, "here.json").read_bytes()


def _latency(checkout: Path) -> None:
    (checkout / "here.json").write_bytes(_measured())


def _latency_of_mine(checkout: Path) -> None:
    _mine(checkout)
    _fit(str(checkout / "runs/mine"), checkout / "here.json")


def _imagenet(checkout: Path) -> None:
    """A thousand classes, one tiny image in each."""
    images = [Image.fromarray(image.astype("uint8") * 15) for image in load_digits().images[:8]]
    for part in ("train", "val"):
        for number in range(1000):
            folder = checkout / "path/to/imagenet" / part / f"{number:04}"
            folder.mkdir(parents=True)
            images[number % 8].save(folder / "0.png")


def _supernet_folder(checkout: Path, name: str) -> None:
    """A supernet that nobody trained, with the classes of the images among others."""
    if not (checkout / "path").exists():
        _images(checkout)
    labels = [*"0123456", *"7AL", "O"]
    write_supernet(checkout / name, fresh_supernet(classes=len(labels)), label_names=labels, lineage=[])


def _lite0(checkout: Path) -> None:
    _supernet_folder(checkout, "lite0")


def _supernet(checkout: Path) -> None:
    _supernet_folder(checkout, "SUPERNET")


SCENES: dict[str, Callable[[Path], None]] = {
    "images": _images,
    "three.png": _three,
    "runs/mine": _mine,
    "runs/mine, extracted": _extracted,
    "runs/digits": _digits_run,
    "predictor.onnx": _predictor,
    "CHECKPOINT": _checkpoint,
    "here.json": _latency,
    "runs/mine, here.json": _latency_of_mine,
    "lite0": _lite0,
    "SUPERNET": _supernet,
    "imagenet": _imagenet,
}
