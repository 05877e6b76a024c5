"""What all architectures of a space have in common: strides, shortcuts, activations, padding, the head, …

The family are networks of inverted residual, fused and plain blocks. Whatever its members differ in, beside
the choices of an architecture, is a field here, and every default is what AttentiveNAS has.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from anas_zoo.core.schema import Schema, Sparse

Activation = Literal["silu", "relu", "relu6", "hard_swish"]
BlockKind = Literal["inverted", "fused", "plain"]
HeadKind = Literal["conv_pool_mix", "conv_pool", "pool"]
Gate = Literal["hard_sigmoid", "sigmoid"]
Padding = Literal["symmetric", "same"]


class StemStructure(Schema):
    """The first convolution."""

    stride: int = Field(2, ge=1, le=4)
    kernel_size: Literal[3, 5, 7] = 3
    act: Activation = "silu"


class StageStructure(Sparse):
    """One stage of blocks of one kind; only its first block has the stride.

    Attributes:
        block: ``inverted``: 1×1 convolution that expands, depthwise k×k, 1×1 that projects (MobileNetV2).
            ``fused``: one k×k convolution in place of the first two (EdgeTPU, EfficientNetV2). ``plain``: a
            k×k convolution alone, without expansion and squeeze-and-excite; its shortcut is added before its
            activation (ResNet).
        stride: of the first block.
        se: whether its blocks have squeeze-and-excite; or one value per block at full depth.
        act: activation of its blocks.
        always_expands: whether an inverted block of expand ratio 1 has an expanding convolution too. Without,
            such a block is depthwise-separable.
    """

    LEFT_OUT: ClassVar = ("block", "always_expands")

    block: BlockKind = "inverted"
    stride: Literal[1, 2]
    se: bool | tuple[bool, ...]
    act: Activation = "silu"
    always_expands: bool = False

    @model_validator(mode="after")
    def _its_blocks_have_such_a_part(self) -> Self:
        if self.always_expands and self.block != "inverted":
            raise ValueError(f"always_expands is of inverted blocks, not of {self.block} ones")
        if self.block == "plain" and (self.se if isinstance(self.se, bool) else any(self.se)):
            raise ValueError("plain blocks have no squeeze-and-excite")
        return self

    def se_of(self, block: int) -> bool:
        """Whether the block of that index has squeeze-and-excite."""
        return self.se if isinstance(self.se, bool) else self.se[block]


class HeadStructure(Sparse):
    """Everything after the last stage.

    Attributes:
        kind: ``conv_pool_mix``: 1×1 convolution to ``expand_ratio`` × the last stage's width, pooling, 1×1
            mix, classifier (AttentiveNAS, MobileNetV3). ``conv_pool``: 1×1 convolution, pooling, classifier
            (EfficientNet, MobileNetV2). ``pool``: pooling, classifier (ResNet). The architecture's last width
            is what the classifier reads; in the last kind that is the last stage's.
        expand_ratio: of the first kind; None in the others.
        mix_bias: whether the mix has a bias.
    """

    LEFT_OUT: ClassVar = ("kind", "mix_bias")

    expand_ratio: int | None = Field(6, ge=1, le=16)
    act: Activation = "silu"
    kind: HeadKind = "conv_pool_mix"
    mix_bias: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_a_mix(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("kind") in ("conv_pool", "pool"):
            return {"expand_ratio": None, **data}
        return data

    @model_validator(mode="after")
    def _ratio_belongs_to_the_mix(self) -> Self:
        mixes = self.kind == "conv_pool_mix"
        if mixes != (self.expand_ratio is not None):
            raise ValueError("a head of kind conv_pool_mix has an expand_ratio, one of another kind has none")
        if self.mix_bias and not mixes:
            raise ValueError(f"a head of kind {self.kind} has no mix, so no mix_bias")
        return self

    def mid_chs(self, in_chs: int, out_chs: int) -> int:
        """Channels that are pooled."""
        if self.kind == "pool":
            return in_chs
        return out_chs if self.expand_ratio is None else in_chs * self.expand_ratio


class SqueezeExciteStructure(Schema):
    """Squeeze-and-excite wherever a stage has it.

    Attributes:
        base: whose channels are reduced: of the block's ``mid`` or of its ``in``put.
        reduction: by what.
        divisor: what the reduced channels are rounded to a multiple of.
        act: activation between its two convolutions.
        gate: what makes factors of the result.
    """

    base: Literal["mid", "in"] = "mid"
    reduction: int = Field(4, ge=1, le=64)
    divisor: int = Field(8, ge=1, le=64)
    act: Activation = "relu"
    gate: Gate = "hard_sigmoid"


class NetworkRules(Sparse):
    """What holds for every block of a network alike.

    Attributes:
        shortcut: ``always``: every block has one, with a pool for the stride and a 1×1 convolution for the
        width.
            ``identity``: only blocks that change neither have one.
        bn_eps: epsilon of every batch norm.
        padding: of convolutions: ``symmetric``, k // 2 on each side; ``same`` as TensorFlow's: with a
        stride only
            what an output of ⌈side / stride⌉ needs, the odd pixel after.
        squeeze_excite: what squeeze-and-excite is, where a stage has it.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("shortcut", "bn_eps", "padding", "squeeze_excite")

    shortcut: Literal["always", "identity"] = "always"
    bn_eps: float = Field(1e-5, gt=0, lt=1)
    padding: Padding = "symmetric"
    squeeze_excite: SqueezeExciteStructure = SqueezeExciteStructure()


class Structure(NetworkRules):
    """The fixed part of a network; together with an Architecture it says everything but the weights."""

    stem: StemStructure
    stages: tuple[StageStructure, ...] = Field(min_length=1, max_length=32)
    head: HeadStructure

    def simplified(self, *, act: Activation | None = None, se: bool = True) -> Structure:
        """This structure with the activation ``act`` outside of squeeze-and-excite, and without that.

        As EfficientNet-Lite is EfficientNet with ReLU6 and without squeeze-and-excite: what integers compute
        fast. ``act`` None keeps the activations, ``se`` true keeps squeeze-and-excite where there is one.
        """

        def changed(part: dict[str, Any]) -> dict[str, Any]:
            return part if act is None else part | {"act": act}

        data = self.model_dump()
        stages = [changed(stage) | ({} if se else {"se": False}) for stage in data["stages"]]
        parts = {"stem": changed(data["stem"]), "stages": stages, "head": changed(data["head"])}
        return Structure.model_validate(data | parts)

    @property
    def block_kinds(self) -> tuple[BlockKind, ...]:
        """The kinds of its blocks, each once, from input to output."""
        return tuple(dict.fromkeys(stage.block for stage in self.stages))
