"""What can be chosen about training; defaults are the AttentiveNAS recipe (arXiv:2011.09011, section 4)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from anas_zoo.data import AugmentationRecipe
from anas_zoo.schema import Schema

__all__ = ["SamplingRecipe", "TrainRecipe"]


class SamplingRecipe(Schema):
    """How the subnets between the largest and the smallest one are picked.

    ``bestup`` trains the best and ``worstup`` the worst of ``candidates`` architectures of one drawn
    FLOPs, by their loss on the current mini-batch; ``uniform`` trains a uniform draw.
    """

    strategy: Literal["bestup", "worstup", "uniform"] = "bestup"
    candidates: int = Field(3, ge=1, le=100)
    prior_draws: int = Field(100_000, ge=1000)
    prior_bins: int = Field(70, ge=2)  # the paper's 25 M bins over its space are 70
    max_tries: int = Field(100, ge=1)


class TrainRecipe(Schema):
    """One training run."""

    epochs: int = Field(360, ge=1)
    batch_size: int = Field(256, ge=2)
    subnets_per_step: int = Field(4, ge=2)  # the sandwich: largest, K - 2 sampled, smallest
    learning_rate: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-5, ge=0)  # not on batch norms and biases
    warmup_epochs: float = Field(5.0, ge=0)
    warmup_factor: float = Field(0.001, gt=0, le=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    drop_rate: float = Field(0.2, ge=0, lt=1)  # largest subnet only
    drop_path_rate: float = Field(0.2, ge=0, lt=1)  # largest subnet only, last two stages
    clip_value: float = Field(1.0, gt=0)
    sampling: SamplingRecipe = SamplingRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} must be under epochs {self.epochs}")
        return self
