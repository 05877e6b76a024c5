"""How images become a network's input: the record that data sources carry and config.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from anas_zoo.core.geometry import REFERENCE_FIXED, Interpolation, Mode, Transparency, resize_and_crop_sides
from anas_zoo.core.schema import Schema

Channels = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]
Scales = tuple[Positive, Positive, Positive]


class Preprocessing(Schema):
    """How images are resized, cropped and normalised (docs/preprocessing.md).

    ``native`` resizes the short side to ⌊R / crop_pct⌋ and crops the centre R, as timm evaluates.
    ``reference`` is the AttentiveNAS authors' way, a 224 crop of a 256 image (bilinear) that is resized to R
    after normalisation (bicubic); it fixes ``interpolation`` and ``crop_pct``, which may be left out.

    Attributes:
        mode: which of the two.
        interpolation: Pillow's filter for the resize of the image.
        crop_pct: side of the centre crop over the resized short side.
        mean: subtracted from each channel (RGB, pixels scaled to 0..1).
        std: divides each channel after that.
        colour: order of the channels.
        transparency: what becomes of transparent parts.

    Raises pydantic's ``ValidationError`` (a ``ValueError``) for values that the mode does not have.
    """

    mode: Mode = "native"
    interpolation: Interpolation = "bicubic"
    crop_pct: float = Field(0.875, gt=0.0, le=1.0)
    mean: Channels = (0.485, 0.456, 0.406)
    std: Scales = (0.229, 0.224, 0.225)
    colour: Literal["rgb"] = "rgb"
    transparency: Transparency = "white"

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("mode") == "reference":
            return REFERENCE_FIXED | dict(data)
        return data

    @model_validator(mode="after")
    def _as_the_mode_has_it(self) -> Self:
        wrong = [
            f"{key} is {value!r} in the mode 'reference', not {getattr(self, key)!r}"
            for key, value in REFERENCE_FIXED.items()
            if self.mode == "reference" and getattr(self, key) != value
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def sides(self, resolution: int) -> tuple[int, int]:
        """(short side after the resize, side of the centre crop) in pixels, of the image's part."""
        return resize_and_crop_sides(self.mode, resolution, self.crop_pct)

    def visible(self, resolution: int) -> float:
        """Share of an image's short side that a network at ``resolution`` sees."""
        short_side, side = self.sides(resolution)
        return side / short_side

    def in_mode(self, mode: Mode) -> Preprocessing:
        """The same normalisation in ``mode``; to ``native``, filter and crop_pct stay as well.

        So the native form of a reference one is what timm's own transform does with an entry's config.
        """
        fixed = REFERENCE_FIXED if mode == "reference" else {}
        return self.model_copy(update={"mode": mode, **fixed})


IMAGENET = Preprocessing()
# Of images whose borders nobody has looked at: what matters in them may reach to the edge.
WHOLE_IMAGE = Preprocessing(crop_pct=1.0)
