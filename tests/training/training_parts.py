"""A tiny training for the tests here: the digits space on digits, seconds a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from anas_zoo.core.schema import parse
from anas_zoo.data import DigitsSource, MemoryImages, Share
from anas_zoo.nets import Supernet
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes, SupernetStep, Trainer, TrainRecipe, make_sampler

SPACE = SearchSpace.load("digits")
HERE = Processes(torch.device("cpu"))
IMAGES = range(128)

TINY: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "subnets_per_step": 3,
    "warmup_epochs": 0.5,
    "drop_rate": 0.1,
    "drop_path_rate": 0.1,
    "sampling": {"prior_draws": 5000, "prior_bins": 20},
    "augmentation": {"rotation_deg": 10},
    "evaluation": {"every_epochs": 1},
    "log_every_steps": 2,
}


def tiny(**changes: Any) -> TrainRecipe:
    return parse(TrainRecipe, TINY | changes, "test")


def make_supernet(seed: int = 0) -> Supernet:
    supernet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(seed))
    return supernet.to(memory_format=torch.channels_last)


def make_data(recipe: TrainRecipe, processes: Processes = HERE) -> MemoryImages:
    share = Share(recipe.batch_size, processes.count, processes.rank, recipe.accumulation)
    return MemoryImages(DigitsSource(), IMAGES, side=16, share=share, augmentation=recipe.augmentation)


def make_trainer(
    folder: Path,
    recipe: TrainRecipe | None = None,
    *,
    seed: int = 0,
    processes: Processes = HERE,
    evaluate: Callable[[], Mapping[str, float]] = lambda: {"smallest": 50.0, "largest": 60.0},
    identity: Mapping[str, Any] | None = None,
    wrap: Callable[[SupernetStep], Any] = lambda step: step,
) -> tuple[Supernet, Trainer]:
    recipe = recipe or tiny()
    supernet = make_supernet(seed)
    if recipe.sync_batch_norm and processes.count > 1:
        supernet.share_batch_statistics(processes.differentiable_mean)
    sampler, predictor = make_sampler(SPACE, recipe)
    step = SupernetStep(supernet, recipe, sampler, processes, predictor)
    trainer = Trainer(
        wrap(step),
        make_data(recipe, processes),
        recipe,
        seed=seed,
        folder=folder,
        identity=identity or {"seed": seed, "train": recipe.model_dump(mode="json")},
        processes=processes,
        evaluate=evaluate,
    )
    return supernet, trainer


def train(folder: Path, recipe: TrainRecipe | None = None, **options: Any) -> dict[str, torch.Tensor]:
    supernet, trainer = make_trainer(folder, recipe, **options)
    trainer.run()
    return supernet.state_dict()


def same(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """Equal to the last bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
