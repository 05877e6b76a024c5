"""What all architectures of a space have in common: strides, squeeze-and-excite, activations, head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anas_zoo.core.schema import Schema

Activation = Literal["silu", "relu", "hard_swish"]


class StemStructure(Schema):
    """The first convolution."""

    stride: int = Field(2, ge=1, le=4)
    kernel_size: Literal[3, 5, 7] = 3
    act: Activation = "silu"


class StageStructure(Schema):
    """One stage of inverted residual blocks; only its first block has the stride."""

    stride: Literal[1, 2]
    se: bool
    act: Activation = "silu"


class HeadStructure(Schema):
    """1×1 convolution to ``expand_ratio`` × the last stage's width, pooling, 1×1 mix, classifier."""

    expand_ratio: int = Field(6, ge=1, le=16)
    act: Activation = "silu"


class Structure(Schema):
    """The fixed part of a network; together with an Architecture it says everything but the weights."""

    stem: StemStructure
    stages: tuple[StageStructure, ...] = Field(min_length=1, max_length=32)
    head: HeadStructure
