"""The schema of a search space file (``presets/*.yaml`` or a user's own)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from anas_zoo.space.architecture import LIMITS, MAX_PARTS, RATIO_DIGITS, is_ratio, plain_number
from anas_zoo.space.structure import (
    HeadStructure,
    NetworkRules,
    StageStructure,
    StemStructure,
    Structure,
)

MAX_CHOICES = 1024


def _ascending(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("choices must be in ascending order, each once")
    if values[0] <= 0:
        raise ValueError("choices must be positive")
    return values


def _kernel_sizes(values: list[Any] | tuple[Any, ...]) -> tuple[int, ...]:
    if any(type(value) is not int for value in values):
        raise ValueError("kernel sizes must be integers")
    if any(value % 2 == 0 for value in values):
        raise ValueError("kernel sizes must be odd")
    return _ascending(tuple(values))


def _ratios(values: list[Any] | tuple[Any, ...]) -> tuple[float, ...]:
    if not all(is_ratio(value, float("inf")) for value in values):
        raise ValueError(f"expand ratios must be positive, of at most {RATIO_DIGITS} digits after the point")
    return _ascending(tuple(map(plain_number, values)))  # type: ignore[arg-type]


def _per_block(one: Callable[[Any], tuple[Any, ...]]) -> Callable[[object], tuple[Any, ...]]:
    """Reads choices of all blocks of a stage, or a list of choices for each of its blocks."""

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("give the list of choices, or one such list for each block")
        nested = [isinstance(item, list | tuple) for item in value]
        if not all(nested):
            if any(nested):
                raise ValueError("give numbers, or one list for each block, not both")
            if len(value) > MAX_CHOICES:
                raise ValueError(f"at most {MAX_CHOICES} choices")
            return one(value)
        if len(value) > MAX_PARTS or not all(0 < len(item) <= MAX_CHOICES for item in value):
            raise ValueError(f"at most {MAX_PARTS} blocks, each of 1 to {MAX_CHOICES} choices")
        return tuple(map(one, value))

    return read


Choices = Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_CHOICES), AfterValidator(_ascending)]
# As they are: pydantic would write each ratio as a decimal, and a space's id is of what is written.
_WRITTEN = PlainSerializer(lambda value: value, return_type=Any)
KernelSizeChoices = Annotated[
    tuple[int, ...] | tuple[tuple[int, ...], ...], PlainValidator(_per_block(_kernel_sizes)), _WRITTEN
]
ExpandRatioChoices = Annotated[
    tuple[float, ...] | tuple[tuple[float, ...], ...], PlainValidator(_per_block(_ratios)), _WRITTEN
]


class StemConfig(StemStructure):
    """The stem with its choices of width (output channels)."""

    width: Choices


class StageConfig(StageStructure):
    """One stage with the choices of its four elastic dimensions.

    Those of kernel size and expand ratio are shared by its blocks, or a list of choices for each block at
    full depth, which are chosen for themselves then.
    """

    name: str
    width: Choices
    depth: Choices
    kernel_size: KernelSizeChoices
    expand_ratio: ExpandRatioChoices

    @property
    def kernel_sizes(self) -> tuple[tuple[int, ...], ...]:
        """The choices of kernel size of each block at full depth."""
        return _of_each_block(self.kernel_size, self.depth[-1])

    @property
    def expand_ratios(self) -> tuple[tuple[float, ...], ...]:
        """The choices of expand ratio of each block at full depth."""
        return _of_each_block(self.expand_ratio, self.depth[-1])

    @model_validator(mode="after")
    def _one_value_per_block(self) -> Self:
        most = self.depth[-1]
        if most > LIMITS["depth"]:
            raise ValueError(f"depth goes up to {LIMITS['depth']} at most, not {most}")
        listed = {key: getattr(self, key) for key in ("kernel_size", "expand_ratio")}
        listed = {key: value for key, value in listed.items() if isinstance(value[0], tuple)}
        if not isinstance(self.se, bool):
            listed["se"] = self.se
        for key, value in listed.items():
            if len(value) != most:
                raise ValueError(f"stage {self.name}: {key} has {len(value)} values for {most} blocks")
        return self

    @model_validator(mode="after")
    def _expansion_is_fixed_or_real(self) -> Self:
        if self.block == "plain" and any(choices != (1,) for choices in self.expand_ratios):
            raise ValueError(f"stage {self.name}: the expand ratio of plain blocks is 1")
        # A block of ratio 1 has no expanding convolution, so its tensors are no slices of a larger one's.
        ratios = () if self.always_expands or self.block != "inverted" else self.expand_ratios
        if any(choices[0] <= 1 and len(choices) > 1 for choices in ratios):
            raise ValueError(f"stage {self.name}: expand ratio 1 cannot be mixed with others")
        return self


def _of_each_block(choices: Any, depth: int) -> tuple[tuple[Any, ...], ...]:
    return choices if isinstance(choices[0], tuple) else (choices,) * depth


class HeadConfig(HeadStructure):
    """The head with its choices of width (input features of the classifier)."""

    width: Choices


class SpaceConfig(NetworkRules):
    """A whole search space: every list holds the allowed values of one elastic dimension.

    ``kernel_transform``: whether the supernet learns matrices that make smaller kernels of larger ones
    (once-for-all); otherwise a smaller kernel is the centre of the largest.
    """

    LEFT_OUT: ClassVar = (*NetworkRules.LEFT_OUT, "kernel_transform")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    resolution: Choices
    stem: StemConfig
    stages: tuple[StageConfig, ...] = Field(min_length=1, max_length=32)
    head: HeadConfig
    kernel_transform: bool = False

    @model_validator(mode="after")
    def _within_what_an_architecture_may_be(self) -> Self:
        chosen: list[tuple[str, tuple[float, ...]]] = [("resolution", self.resolution)]
        chosen += [("width", self.stem.width), ("width", self.head.width)]
        for stage in self.stages:
            chosen += [("width", stage.width)]
            chosen += [("kernel_size", choices) for choices in stage.kernel_sizes]
            chosen += [("expand_ratio", choices) for choices in stage.expand_ratios]
        for key, values in chosen:
            if values[-1] > LIMITS[key]:
                raise ValueError(f"{key} goes up to {LIMITS[key]} at most, not {values[-1]}")
        return self

    @model_validator(mode="after")
    def _a_mere_pool_has_the_last_width(self) -> Self:
        if self.head.kind != "pool":
            return self
        before = self.stages[-1].width
        if len(before) > 1 or self.head.width != before:
            raise ValueError(
                f"a head of kind pool reads what the last stage gives: one width for both; stage "
                f"{self.stages[-1].name} has {list(before)}, the head {list(self.head.width)}"
            )
        return self

    def structure(self) -> Structure:
        """The part that all architectures share."""

        def part(of: Any, fields: Iterable[str]) -> dict[str, Any]:
            return {key: getattr(of, key) for key in fields}

        return Structure(
            stem=StemStructure(**part(self.stem, StemStructure.model_fields)),
            stages=tuple(StageStructure(**part(s, StageStructure.model_fields)) for s in self.stages),
            head=HeadStructure(**part(self.head, HeadStructure.model_fields)),
            **part(self, NetworkRules.model_fields),
        )
