"""The schema of a search space file (``presets/*.yaml`` or a user's own)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from anas_zoo.core.schema import Schema
from anas_zoo.space.architecture import LIMITS
from anas_zoo.space.structure import (
    HeadStructure,
    StageStructure,
    StemStructure,
    Structure,
)


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("choices must be in ascending order, each once")
    if values[0] < 1:
        raise ValueError("choices must be positive")
    return values


def _odd(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(value % 2 == 0 for value in values):
        raise ValueError("kernel sizes must be odd")
    return values


Choices = Annotated[tuple[int, ...], Field(min_length=1, max_length=1024), AfterValidator(_ascending)]
OddChoices = Annotated[Choices, AfterValidator(_odd)]


class StemConfig(StemStructure):
    """The stem with its choices of width (output channels)."""

    width: Choices


class StageConfig(StageStructure):
    """One stage with the choices of its four elastic dimensions, shared by its blocks."""

    name: str
    width: Choices
    depth: Choices
    kernel_size: OddChoices
    expand_ratio: Choices

    @model_validator(mode="after")
    def _expansion_is_fixed_or_real(self) -> Self:
        # A block of ratio 1 has no expanding convolution, so its tensors are no slices of a larger one's.
        if 1 in self.expand_ratio and len(self.expand_ratio) > 1:
            raise ValueError(f"stage {self.name}: expand ratio 1 cannot be mixed with others")
        return self


class HeadConfig(HeadStructure):
    """The head with its choices of width (input features of the classifier)."""

    width: Choices


class SpaceConfig(Schema):
    """A whole search space: every list holds the allowed values of one elastic dimension."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    resolution: Choices
    stem: StemConfig
    stages: tuple[StageConfig, ...] = Field(min_length=1, max_length=32)
    head: HeadConfig

    @model_validator(mode="after")
    def _within_what_an_architecture_may_be(self) -> Self:
        chosen: list[tuple[str, tuple[int, ...]]] = [("resolution", self.resolution)]
        chosen += [("width", self.stem.width), ("width", self.head.width)]
        chosen += [
            (key, getattr(s, key))
            for s in self.stages
            for key in ("width", "depth", "kernel_size", "expand_ratio")
        ]
        for key, values in chosen:
            if values[-1] > LIMITS[key]:
                raise ValueError(f"{key} goes up to {LIMITS[key]} at most, not {values[-1]}")
        return self

    def structure(self) -> Structure:
        """The part that all architectures share."""
        return Structure(
            stem=StemStructure(**self.stem.model_dump(exclude={"width"})),
            stages=tuple(StageStructure(stride=s.stride, se=s.se, act=s.act) for s in self.stages),
            head=HeadStructure(**self.head.model_dump(exclude={"width"})),
        )
