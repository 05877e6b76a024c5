"""The preprocessing contract: what turns an image file into the tensor that a network was measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.geometry import REFERENCE_FIXED, Interpolation, Mode, Transparency, resize_and_crop_sides
from anas_zoo.core.images import opaque, resized_and_cropped

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
        transparency: what becomes of transparent parts; entries that do not say had them dropped.

    Raises :class:`ConfigError` for values that the mode does not have.
    """

    interpolation: Interpolation
    crop_pct: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    mode: Mode = "native"
    transparency: Transparency = "white"

    def __post_init__(self) -> None:
        given = {key: getattr(self, key) for key in REFERENCE_FIXED}
        if self.mode == "reference" and given != REFERENCE_FIXED:
            raise ConfigError(f"preprocessing 'reference' has {REFERENCE_FIXED}, got {given}")

    def transform(self, resolution: int) -> Callable[[Image.Image], Tensor]:
        """The evaluation transform: an image as it was read -> (3, R, R) float32, bit-equal to timm's."""
        from timm.data import create_transform

        short_side, side = resize_and_crop_sides(self.mode, resolution, self.crop_pct)
        to_tensor: Callable[[Image.Image], Tensor] = create_transform(
            input_size=(3, side, side),
            is_training=False,
            crop_pct=1.0,  # it is cut already
            mean=self.mean,
            std=self.std,
        )

        def transformed(image: Image.Image) -> Tensor:
            rgb = opaque(image, self.transparency)
            made = to_tensor(resized_and_cropped(rgb, short_side, side, self.interpolation))
            if side == resolution:
                return made
            size = (resolution, resolution)
            return F.interpolate(made[None], size=size, mode="bicubic", align_corners=False)[0]

        return transformed

    def visible(self, resolution: int) -> float:
        """Part of an image's short side that a network at ``resolution`` sees: of its middle square."""
        short_side, side = resize_and_crop_sides(self.mode, resolution, self.crop_pct)
        return side / short_side

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
            "transparency": self.transparency,
        }


IMAGENET = Preprocessing("bicubic", 0.875, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
