"""The preprocessing contract: what turns an image file into the tensor that a network was measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image
from torch import Tensor

__all__ = ["IMAGENET", "Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """Mode ``native``: resize and crop straight to the resolution R, then normalise.

    Attributes:
        interpolation: PIL's filter for the resize.
        crop_pct: side of the centre crop over the resized short side.
        mean: subtracted from each channel (RGB, pixels scaled to 0..1).
        std: divides each channel after that.
    """

    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
    crop_pct: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def transform(self, resolution: int) -> Callable[[Image.Image], Tensor]:
        """timm's evaluation transform: RGB image -> (3, R, R) float32."""
        from timm.data import create_transform

        return create_transform(  # type: ignore[no-any-return]
            input_size=(3, resolution, resolution),
            is_training=False,
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
            mean=self.mean,
            std=self.std,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in an entry's config."""
        return {
            "interpolation": self.interpolation,
            "crop_pct": self.crop_pct,
            "mean": list(self.mean),
            "std": list(self.std),
        }


IMAGENET = Preprocessing("bicubic", 0.875, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
