"""Stage: a trained supernet -> evaluations and the accuracy-FLOPs front, on the search split only."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anas_zoo.files import output_folder, sha256_file
from anas_zoo.pipeline.picture import draw_front
from anas_zoo.pipeline.run import Run
from anas_zoo.search import (
    Archive,
    Evaluation,
    Evolution,
    SearchRecipe,
    SubnetEvaluator,
    pareto_front,
    run_search,
    write_front,
)

__all__ = ["make_evaluator", "search_stage"]


def make_evaluator(run: Run) -> SubnetEvaluator:
    """What scores subnets of this run: calibrated on training images, on the search split."""
    return SubnetEvaluator(
        run.supernet,
        calibration=run.calibration_images,
        images=run.search_images,
        labels=run.search_images.labels,
        batch_size=run.recipe.search.calibration_batch_size,
    )


def search_stage(
    run: Run, *, recipe: SearchRecipe | None = None, seed: int | None = None, out: Path | None = None
) -> list[Evaluation]:
    """Search into ``out`` (default ``RUN/search``); returns the front from small to large."""
    recipe = recipe or run.recipe.search
    seed = run.recipe.seed if seed is None else seed
    run.use_threads()
    evaluator = make_evaluator(run)
    supernet = run.supernet
    rng = np.random.default_rng([seed, 2])
    algorithm = Evolution(run.space, recipe, rng, num_classes=supernet.num_classes)
    with output_folder(out or run.search_folder) as staging:
        with Archive(staging / "evaluations.jsonl") as archive:
            evaluations = run_search(algorithm, evaluator, archive, total=recipe.evaluations)
        front = pareto_front(evaluations)
        about = {
            "algorithm": "evolution",
            "recipe": recipe.model_dump(mode="json"),
            "seed": seed,
            "space": {"name": run.space.name, "id": run.space.id},
            "supernet_sha256": sha256_file(run.supernet_file),
            "split": "search",
            "images": len(run.search_images.labels) // run.recipe.search.views,
            "views": run.recipe.search.views,
            "evaluations": len(evaluations),
        }
        write_front(staging / "front.json", front, about)
        draw_front(
            staging / "front.png",
            evaluations,
            front,
            title=f"{run.recipe.name}: {len(evaluations)} evaluated subnets",
            views=run.recipe.search.views,
        )
    return front
