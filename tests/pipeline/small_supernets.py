"""Supernets that are searched or trained on: of the digits' space, and of one with choices per block."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from supernet_folders import SPACE, write_supernet

from anas_zoo.nets import Supernet
from anas_zoo.pipeline import Recipe
from anas_zoo.space import SearchSpace

# The members of the family that are not ours: kernel sizes and ratios of each block, shortcuts only where
# nothing changes, TensorFlow's padding, ReLU6, and a head as EfficientNet has it.
OTHER: dict[str, Any] = {
    "name": "other",
    "resolution": [12, 16],
    "stem": {"width": [8], "stride": 2, "kernel_size": 3, "act": "relu6"},
    "stages": [
        {
            "name": "first",
            "width": [8],
            "depth": [1],
            "kernel_size": [3],
            "expand_ratio": [1],
            "stride": 1,
            "se": False,
            "act": "relu6",
        },
        {
            "name": "second",
            "width": [16],
            "depth": [1, 2],
            "kernel_size": [[3, 5], [3]],
            "expand_ratio": [[2, 3], [1.5, 3]],
            "stride": 2,
            "se": [False, True],
            "act": "relu6",
        },
    ],
    "head": {"width": [32], "act": "relu6", "kind": "conv_pool"},
    "shortcut": "identity",
    "padding": "same",
    "bn_eps": 0.001,
    "kernel_transform": True,
}
# A search and a training of seconds.
QUICK = [
    *("search.evaluations=5", "search.calibration_images=32", "search.calibration_batch_size=16"),
    "search.surrogate={initial: 3, batch: 2, population: 8, generations: 2}",
    *("train.epochs=2", "train.batch_size=16", "train.subnets_per_step=3", "train.warmup_epochs=0.5"),
    *("train.evaluation.calibration_images=16", "train.evaluation.sampled=1", "threads=1"),
    *("minutes=null", "winners.epochs=2", "winners.warmup_epochs=0.5"),
]


def other_space() -> SearchSpace:
    return SearchSpace.from_dict(OTHER, "other")


def drawn(space: SearchSpace = SPACE, classes: int = 10, seed: int = 0) -> Supernet:
    """A supernet that nobody trained, of any space; kernel transforms are no identities."""
    supernet = Supernet(space, classes, generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if ".transform." in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return supernet


def write(folder: Path, supernet: Supernet | None = None, **changes: Any) -> Path:
    """A supernet's folder with a licence; by default of the digits, with their names as labels."""
    labels = [str(number) for number in range(10)] if supernet is None else None
    write_supernet(folder, supernet or drawn(), **({"lineage": [], "label_names": labels} | changes))
    return folder


@cache
def _pictures() -> list[tuple[int, Image.Image]]:
    found = load_digits()
    return [
        (int(label), Image.fromarray((picture * 15).astype(np.uint8)))
        for label, picture in zip(found.target, found.images, strict=True)
    ]


def write_digits(root: Path, names: dict[int, str], *, per_class: int = 30) -> Path:
    """A folder with ``per_class`` images of some digits, each in the folder of its name in ``names``."""
    for digit, name in names.items():
        (root / name).mkdir(parents=True)
        pictures = [picture for label, picture in _pictures() if label == digit][:per_class]
        for number, picture in enumerate(pictures):
            picture.save(root / name / f"{number}.png")
    return root


def pretrained(init: Path, data: Path, *settings: str, **changes: Any) -> Recipe:
    """The bundled recipe for trainings from a supernet, in seconds."""
    return Recipe.load("pretrained", init=str(init), data=str(data), settings=[*QUICK, *settings], **changes)
