"""What scores the architectures of a search: a supernet on the search split, or a predictor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo.core.files import sha256_file
from anas_zoo.core.progress import warn
from anas_zoo.core.text import printable
from anas_zoo.pipeline.run import Run
from anas_zoo.searching import Evaluator, PredictorEvaluator, SearchRecipe, SubnetEvaluator
from anas_zoo.space import AccuracyPredictor, SearchSpace


@dataclass(frozen=True)
class Scoring:
    """What scores architectures: the evaluator, its identity as plain data, and the same in words."""

    evaluator: Evaluator
    identity: dict[str, Any]
    words: str


def predicting(file: Path, space: SearchSpace) -> Scoring:
    """Scores by a predictor, with a warning where its numbers cannot be percent."""
    predictor = AccuracyPredictor(file, space)
    found = predictor([space.smallest, space.largest])
    if found.min() < 0 or found.max() > 100 or found.max() <= 1:
        warn(
            f"{file} says {found[0]:.4g} of the smallest and {found[1]:.4g} of the largest subnet, "
            "which does not look like top-1 in percent"
        )
    identity = {"predictor_sha256": sha256_file(file)}
    return Scoring(PredictorEvaluator(predictor), identity, f"predicted by {printable(file.name)}")


def measuring(run: Run, recipe: SearchRecipe) -> Scoring:
    """Scores by the run's supernet."""
    evaluator = make_evaluator(run, recipe)
    identity = {
        "supernet_sha256": sha256_file(run.supernet_file),
        "split": "search",
        "split_sha256": run.split_sha256,
        "images": evaluator.images // recipe.views,
        "views": recipe.views,
        "calibration_images": evaluator.images_forwarded - evaluator.images,
        "calibration_batch_size": recipe.calibration_batch_size,
    }
    return Scoring(evaluator, identity, evaluated_on(run, recipe))


def make_evaluator(run: Run, recipe: SearchRecipe | None = None) -> SubnetEvaluator:
    """What scores subnets of this run: calibrated on training images, on the search split."""
    recipe = recipe or run.recipe.search
    images = run.search_images(recipe)
    return SubnetEvaluator(
        run.supernet,
        calibration=run.calibration_images,
        calibration_images=len(run.calibration_images.labels),
        images=images,
        labels=images.labels,
        batch_size=recipe.calibration_batch_size,
    )


def evaluated_on(run: Run, recipe: SearchRecipe | None = None) -> str:
    """In words, the images that a search of the run's supernet scores on."""
    recipe = recipe or run.recipe.search
    images = min(recipe.images or len(run.split.search), len(run.split.search))
    views = "" if recipe.views == 1 else f" in {recipe.views} views"
    return f"search split, {images} images{views}"
