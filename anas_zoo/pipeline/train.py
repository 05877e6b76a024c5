"""Stage: the split and the images -> a trained supernet."""

from __future__ import annotations

import torch

from anas_zoo.data import TrainImages
from anas_zoo.files import canonical_json, output_folder, sha256_bytes
from anas_zoo.nets import Supernet, save_supernet
from anas_zoo.pipeline.run import Run
from anas_zoo.training import EpochReport, train_supernet

__all__ = ["train_stage"]

# Training reads views of up to this much more than the largest resolution, so that a zoom stays sharp.
MARGIN = 1.15


def train_stage(run: Run) -> None:
    """Train the supernet on the training split into ``RUN/supernet``."""
    recipe, source, split = run.recipe, run.source, run.split
    run.use_threads()
    side = round(run.space.largest.resolution * MARGIN)
    images = TrainImages(source, split.train, source.preprocessing, side)
    generator = torch.Generator().manual_seed(recipe.seed)
    supernet = Supernet(run.space, len(source.label_names), generator=generator)
    with output_folder(run.supernet_folder) as staging:
        with (staging / "metrics.jsonl").open("w", encoding="utf-8") as metrics:

            def on_epoch(report: EpochReport) -> None:
                metrics.write(canonical_json(report.to_dict()) + "\n")
                metrics.flush()

            train_supernet(supernet, images, recipe.train, seed=recipe.seed, on_epoch=on_epoch)
        save_supernet(
            staging / run.supernet_file.name,
            supernet,
            {
                "recipe_sha256": sha256_bytes(canonical_json(recipe.to_dict()).encode()),
                "split_sha256": sha256_bytes(canonical_json(split.model_dump(mode="json")).encode()),
            },
        )
