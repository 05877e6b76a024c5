"""The preprocessing contract: what turns an image file into the tensor that a network was measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anas_zoo.errors import ConfigError
from anas_zoo.geometry import REFERENCE_CROP, REFERENCE_FIXED, Interpolation, Mode

__all__ = ["IMAGENET", "Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """How images are resized, cut and normalised (docs/preprocessing.md).

    ``native`` resizes and crops straight to the resolution R, then normalises. ``reference`` is the
    AttentiveNAS authors' way: short side to 256, centre crop 224, normalise, then the tensor to R.

    Attributes:
        interpolation: PIL's filter for the resize of the image; ``reference`` has bilinear.
        crop_pct: side of the centre crop over the resized short side; ``reference`` has 0.875.
        mean: subtracted from each channel (RGB, pixels scaled to 0..1).
        std: divides each channel after that.
        mode: which of the two ways.

    Raises :class:`ConfigError` for values that the mode does not have.
    """

    interpolation: Interpolation
    crop_pct: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mode: Mode = "native"

    def __post_init__(self) -> None:
        given = {key: getattr(self, key) for key in REFERENCE_FIXED}
        if self.mode == "reference" and given != REFERENCE_FIXED:
            raise ConfigError(f"preprocessing 'reference' has {REFERENCE_FIXED}, got {given}")

    def transform(self, resolution: int) -> Callable[[Image.Image], Tensor]:
        """The evaluation transform: RGB image -> (3, R, R) float32. All of it but one resize is timm's."""
        from timm.data import create_transform

        side = REFERENCE_CROP if self.mode == "reference" else resolution
        to_input: Callable[[Image.Image], Tensor] = create_transform(
            input_size=(3, side, side),
            is_training=False,
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
            mean=self.mean,
            std=self.std,
        )
        if side == resolution:
            return to_input

        def resized(image: Image.Image) -> Tensor:
            size = (resolution, resolution)
            return F.interpolate(to_input(image)[None], size=size, mode="bicubic", align_corners=False)[0]

        return resized

    def in_mode(self, mode: Mode) -> Preprocessing:
        """The same normalisation in ``mode``; to ``native``, filter and crop_pct stay as well.

        So the native form of a reference one is what timm's own transform does with an entry's config.
        """
        return replace(self, mode=mode, **(REFERENCE_FIXED if mode == "reference" else {}))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in an entry's config."""
        return {
            "mode": self.mode,
            "interpolation": self.interpolation,
            "crop_pct": self.crop_pct,
            "mean": list(self.mean),
            "std": list(self.std),
        }


IMAGENET = Preprocessing("bicubic", 0.875, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
