"""Supernets on disk that nobody trained: as they are written today, and as version 0.2 wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from anas_zoo.core.files import canonical_json
from anas_zoo.entry import Ancestor, Preprocessing, SupernetConfig
from anas_zoo.nets import Supernet, save_supernet
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")
CLASSES = 10
ORIGIN = Ancestor(name="older weights", sha256="1" * 64, licence="MIT")


def fresh_supernet(seed: int = 0, classes: int = CLASSES) -> Supernet:
    return Supernet(SPACE, classes, generator=torch.Generator().manual_seed(seed))


def write_supernet(folder: Path, supernet: Supernet | None = None, **changes: Any) -> SupernetConfig:
    """A draft of a supernet with everything that its record can hold; ``changes`` replace parts of it."""
    parts: dict[str, Any] = {
        "name": "digits",
        "licence": "Apache-2.0",
        "source": "the project's tests",
        "source_sha256": "0" * 64,
        "lineage": [ORIGIN],
        "preprocessing": Preprocessing(interpolation="bilinear", crop_pct=1.0),
        "label_names": [f"digit {number}" for number in range(CLASSES)],
        "trained": {"epochs": 3, "search_split_top1_pct": {"smallest": 90.5, "largest": 95.0}},
    }
    return save_supernet(folder, supernet or fresh_supernet(), **(parts | changes))


def write_old_supernet(folder: Path) -> Supernet:
    """RUN/supernet of a run of version 0.2: space and classes are in the header of the file."""
    supernet = fresh_supernet()
    header = {"format": "anas-zoo supernet 1", "space": SPACE.to_dict(), "num_classes": CLASSES}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = supernet.state_dict()
    save_file(
        tensors, folder / "supernet.safetensors", {"anas": canonical_json(header | {"recipe_sha256": "0"})}
    )
    return supernet
