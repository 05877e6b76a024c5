"""Random affine views of a batch, rendered at any resolution from one draw.

All subnets of a training step see the same view of each image, each at its own resolution, as in
AttentiveNAS where the network itself resizes the crop; so the draw and the rendering are two functions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anas_zoo.core.schema import Schema

__all__ = ["AugmentationRecipe", "augment", "draw_affine"]


class AugmentationRecipe(Schema):
    """How far a training view may stray from its image.

    ``probability`` is the share of views that stray at all: of images as small as 8×8 every interpolated
    view is blurred, and a network that never saw a sharp one does worse on the sharp ones it is tested on.
    """

    probability: float = Field(1.0, ge=0, le=1)
    rotation_deg: float = Field(0.0, ge=0, le=180)
    min_scale: float = Field(1.0, gt=0)
    max_scale: float = Field(1.0, gt=0)
    shear: float = Field(0.0, ge=0, le=1)
    translation_fraction: float = Field(0.0, ge=0, le=1)
    flip: bool = False


def draw_affine(recipe: AugmentationRecipe, count: int, generator: torch.Generator) -> Tensor:
    """``count`` random maps from output to input coordinates, (count, 2, 3) float32."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle = uniform(-1, 1) * math.radians(recipe.rotation_deg)
    # Drawn in the logarithm, so that growing and shrinking by one factor are equally likely.
    scale = torch.exp(uniform(math.log(recipe.min_scale), math.log(recipe.max_scale)))
    shear = uniform(-1, 1) * recipe.shear
    shift = 2 * recipe.translation_fraction  # the coordinates run from -1 to 1
    dx, dy = uniform(-1, 1) * shift, uniform(-1, 1) * shift
    mirror = torch.ones(count)
    if recipe.flip:
        mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = [torch.stack([mirror * cos, shear - sin, dx], 1), torch.stack([mirror * sin, cos, dy], 1)]
    maps = torch.stack(rows, 1)
    if recipe.probability < 1:
        still = uniform(0, 1) >= recipe.probability
        maps[still] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return maps


def augment(images: Tensor, affine: Tensor, resolution: int) -> Tensor:
    """Views of ``images`` (N, 3, H, W) float32 through ``affine`` (N, 2, 3) -> (N, 3, R, R).

    Bilinear; what lies outside repeats the border.
    """
    size = [len(images), images.shape[1], resolution, resolution]
    grid = F.affine_grid(affine, size, align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
