"""A recipe of seconds for the whole pipeline on the real digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from anas_zoo.pipeline import Recipe

TINY: dict[str, Any] = {
    "name": "digits",
    "space": "digits",
    "data": "digits",
    "licence": "Apache-2.0",
    "seed": 0,
    "threads": 1,
    "train": {
        "epochs": 2,
        "batch_size": 128,
        "subnets_per_step": 3,
        "warmup_epochs": 0.5,
        "sampling": {"prior_draws": 5000, "prior_bins": 20},
    },
    "search": {
        "evaluations": 6,
        "surrogate": {"initial": 4, "batch": 2},
        "calibration_images": 128,
    },
}


def write_recipe(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(TINY | changes), encoding="utf-8")
    return path


def tiny_recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(TINY | changes)
