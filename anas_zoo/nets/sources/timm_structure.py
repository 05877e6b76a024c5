"""A network of timm's read as one of the family: its search space, and our name of each of its tensors.

Everything is read off the built module's layers, nothing off its name; what cannot be expressed exactly is
refused with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from timm.layers import BatchNormAct2d, Conv2dSame
from timm.models._efficientnet_blocks import (
    ConvBnAct,
    DepthwiseSeparableConv,
    InvertedResidual,
    SqueezeExcite,
)
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from anas_zoo.core.errors import CheckpointError
from anas_zoo.core.schema import parse
from anas_zoo.space import SearchSpace, SpaceConfig
from anas_zoo.space.architecture import RATIO_DIGITS, is_ratio, plain_number
from anas_zoo.space.plan import make_divisible

ACTIVATIONS = {
    **dict.fromkeys(("SiLU", "Swish", "SwishMe"), "silu"),
    "ReLU": "relu",
    "ReLU6": "relu6",
    **dict.fromkeys(("Hardswish", "HardSwish", "HardSwishMe"), "hard_swish"),
}
GATES = {
    "Sigmoid": "sigmoid",
    **dict.fromkeys(("Hardsigmoid", "HardSigmoid", "HardSigmoidMe"), "hard_sigmoid"),
}
EXPAND_SHARES = (Fraction(1, 2), Fraction(2, 3), Fraction(1))  # of 6: 3, 4, 6, as once-for-all has them
SMALLEST_DEPTH = 2  # a stage's first block changes width and size; one more is kept where there is one
SMALLEST_RESOLUTION = Fraction(2, 5)  # of the network's own
RESOLUTION_STEP = 32
REDUCTIONS = (4, 2, 3, 6, 8, 12, 16, 24, 32)
_NORM = ("weight", "bias", "running_mean", "running_var")


class NotOfTheFamily(CheckpointError):
    """A network that cannot be expressed exactly, and why."""


@dataclass(frozen=True)
class _Unit:
    """One squeeze-and-excite and the channels around it."""

    in_chs: int
    mid_chs: int
    reduced_chs: int
    act: str
    gate: str


@dataclass
class _Block:
    """What is read off one block."""

    in_chs: int
    mid_chs: int
    out_chs: int
    kernel_size: int
    stride: int
    expands: bool
    act: str
    se: _Unit | None


@dataclass
class ReadNetwork:
    """A network of timm's as the family has it.

    Attributes:
        space: its search space; the network itself is the largest architecture.
        names: timm's name of each tensor -> ours.
        sortable: our names of the blocks whose mid channels are elastic.
    """

    space: SearchSpace
    names: dict[str, str]
    sortable: list[str] = field(default_factory=list)


def read_network(
    model: nn.Module, name: str, resolution: int, resolutions: Sequence[int] | None = None
) -> ReadNetwork:
    """The space and the names of a network that timm has built, on whatever device.

    Depth is elastic down to two blocks a stage, the expand ratio to a half and two thirds of each block's,
    the kernel size to its centres, the resolution in steps of 32 from two fifths of the network's own.

    Args:
        model: the network.
        name: of the new space.
        resolution: the side of its input in pixels.
        resolutions: the choices of it instead.

    Raises :class:`NotOfTheFamily` with everything by which the network differs.
    """
    reader = _Reader(model)
    stages = reader.stages()
    head = reader.head()
    config = {
        "name": name,
        "resolution": sorted(resolutions) if resolutions else _resolutions(resolution),
        "stem": reader.stem(),
        "stages": stages,
        "head": head,
        "shortcut": "identity",
        "bn_eps": reader.epsilon(),
        "padding": reader.padding(),
    }
    if reader.units:
        config["squeeze_excite"] = reader.squeeze_excite()
    reader.refuse()
    space = SearchSpace(parse(SpaceConfig, config, name, error=CheckpointError))
    return ReadNetwork(space, dict(reader.names), reader.sortable)


def _resolutions(own: int) -> list[int]:
    """Multiples of 32 from two fifths of ``own`` up to it, and ``own``."""
    steps = range(RESOLUTION_STEP, own, RESOLUTION_STEP)
    return [side for side in steps if side >= own * SMALLEST_RESOLUTION] + [own]


class _Reader:
    """Reads a network from input to output; collects what is odd and raises it as one error."""

    def __init__(self, model: nn.Module) -> None:
        self.names: list[tuple[str, str]] = []
        self.sortable: list[str] = []
        self.units: list[_Unit] = []
        self.problems: list[str] = []
        self._norms: list[float] = []
        self._same: list[bool] = []  # of convolutions with a stride
        if not isinstance(model, EfficientNet | MobileNetV3):
            raise NotOfTheFamily(f"it is a {type(model).__name__}, not of inverted residual blocks")
        self.model: Any = model

    def refuse(self) -> None:
        """Raise what was found, if anything."""
        if self.problems:
            raise NotOfTheFamily("; ".join(dict.fromkeys(self.problems)))

    def odd(self, what: str) -> None:
        self.problems.append(what)
        if len(self.problems) > 3:  # the rest follows from these
            self.refuse()

    def stem(self) -> dict[str, Any]:
        conv = self.model.conv_stem
        self._conv("conv_stem", conv, "stem.conv")
        return {
            "width": [conv.out_channels],
            "stride": conv.stride[0],
            "kernel_size": conv.kernel_size[0],
            "act": self._norm("bn1", self.model.bn1, "stem.bn"),
        }

    def head(self) -> dict[str, Any]:
        model, blocks = self.model, self.model.blocks
        conv, classifier = model.conv_head, model.classifier
        if model.global_pool.pool_type != "avg":
            self.odd(f"its pooling is {model.global_pool.pool_type!r}")
        if not isinstance(classifier, nn.Linear):
            raise NotOfTheFamily(f"its classifier is a {type(classifier).__name__}")
        for tensor in ("weight", "bias"):
            self.names.append((f"classifier.{tensor}", f"classifier.{tensor}"))
        if isinstance(model, EfficientNet):
            self._conv("conv_head", conv, "head.conv")
            act = self._norm("bn2", model.bn2, "head.bn")
            return {"kind": "conv_pool", "width": [conv.out_channels], "act": act}
        last = blocks[-1]
        if len(last) != 1 or not isinstance(last[0], ConvBnAct):
            raise NotOfTheFamily("it has no 1×1 convolution before its pool")
        before = last[0]
        prefix = f"blocks.{len(blocks) - 1}.0"
        self._conv(f"{prefix}.conv", before.conv, "head.conv")
        act = self._norm(f"{prefix}.bn1", before.bn1, "head.bn")
        in_chs, mid_chs = before.conv.in_channels, before.conv.out_channels
        if before.conv.kernel_size != (1, 1) or before.has_skip or mid_chs % in_chs:
            self.odd(f"its convolution before the pool makes {mid_chs} channels of {in_chs}")
        if not isinstance(getattr(model, "norm_head", nn.Identity()), nn.Identity):
            self.odd("it has a batch norm after its pool")
        if self._act(model.act2) != act:
            self.odd("its activations before and after the pool differ")
        self.names.append(("conv_head.weight", "mix.weight"))
        if conv.bias is not None:
            self.names.append(("conv_head.bias", "mix.bias"))
        return {
            "expand_ratio": mid_chs // in_chs,
            "width": [conv.out_channels],
            "act": act,
            "mix_bias": conv.bias is not None,
        }

    def stages(self) -> list[dict[str, Any]]:
        stages = list(self.model.blocks)
        if isinstance(self.model, MobileNetV3):
            stages = stages[:-1]  # the convolution before the pool
        # A block that changes width or size begins a stage, wherever timm's stages begin.
        groups: list[list[tuple[str, nn.Module]]] = []
        for index, stage in enumerate(stages):
            for number, module in enumerate(stage):
                if number == 0 or not getattr(module, "has_skip", True):
                    groups.append([])
                groups[-1].append((f"{index}.{number}", module))
        return [self._stage(index, group) for index, group in enumerate(groups)]

    def _stage(self, index: int, modules: list[tuple[str, nn.Module]]) -> dict[str, Any]:
        read = [
            self._block(theirs, f"{index}.{number}", module)
            for number, (theirs, module) in enumerate(modules)
        ]
        first, depth = read[0], len(read)
        if len({block.act for block in read}) > 1:
            self.odd(f"stage {index} has more than one activation")
        ratios = [_ratio(block) for block in read]
        if None in ratios:
            self.odd(f"stage {index} has channels that no expand ratio gives")
        always = any(block.expands and ratio == 1 for block, ratio in zip(read, ratios, strict=True))
        if always and not all(block.expands for block in read):
            self.odd(f"stage {index} has blocks of ratio 1 with and without an expanding convolution")
        kernels = [list(range(3, block.kernel_size + 1, 2)) or [block.kernel_size] for block in read]
        choices = [
            _choices(block, ratio or 1, smallest=1 if always else 1 + 10**-RATIO_DIGITS)
            for block, ratio in zip(read, ratios, strict=True)
        ]
        for number, listed in enumerate(choices):
            if len(listed) > 1:
                self.sortable.append(f"stages.{index}.{number}")
        return {
            "name": f"stage{index + 1}",
            "width": [first.out_chs],
            "depth": list(range(min(depth, SMALLEST_DEPTH), depth + 1)),
            "kernel_size": _alike(kernels),
            "expand_ratio": _alike(choices),
            "stride": first.stride,
            "se": _alike([block.se is not None for block in read]),
            "act": first.act,
            "always_expands": always,
        }

    def _block(self, place: str, own_place: str, module: nn.Module) -> _Block:
        """One block; its places are "stage.block", timm's and ours."""
        block: Any = module
        prefix, ours = f"blocks.{place}", f"stages.{own_place}"
        if type(module) is InvertedResidual:
            expanding, projecting, norms = block.conv_pw, block.conv_pwl, ("bn1", "bn2", "bn3")
            self._conv(f"{prefix}.conv_pw", expanding, f"{ours}.expand.conv")
            acts = {self._norm(f"{prefix}.bn1", block.bn1, f"{ours}.expand.bn")}
            last = "conv_pwl"
        elif type(module) is DepthwiseSeparableConv:
            expanding, projecting, norms = None, block.conv_pw, ("", "bn1", "bn2")
            acts, last = set(), "conv_pw"
        else:
            raise NotOfTheFamily(f"block {place} is a {type(module).__name__}")
        depthwise = block.conv_dw
        if not isinstance(depthwise, nn.Conv2d):
            raise NotOfTheFamily(f"block {place} has kernels of several sizes side by side")
        self._conv(f"{prefix}.conv_dw", depthwise, f"{ours}.depthwise.conv", depthwise=True)
        acts.add(self._norm(f"{prefix}.{norms[1]}", getattr(block, norms[1]), f"{ours}.depthwise.bn"))
        self._conv(f"{prefix}.{last}", projecting, f"{ours}.project.conv")
        after = self._norm(f"{prefix}.{norms[2]}", getattr(block, norms[2]), f"{ours}.project.bn")
        if after != "none":
            self.odd(f"block {place} has an activation after its projection")
        if len(acts) > 1:
            self.odd(f"block {place} has more than one activation")
        for extra in ("conv_s2d", "aa", "layer_scale", "drop_path"):
            layer = getattr(block, extra, None)
            if isinstance(layer, nn.Module) and not isinstance(layer, nn.Identity):
                self.odd(f"block {place} has a {type(layer).__name__}")
        in_chs = depthwise.in_channels if expanding is None else expanding.in_channels
        stride = depthwise.stride[0]
        if block.has_skip != (stride == 1 and in_chs == projecting.out_channels):
            self.odd(f"block {place} has no shortcut though its shape stays")
        se = getattr(block, "se", None)
        unit = self._squeeze_excite(place, own_place, se, in_chs, depthwise.out_channels)
        return _Block(
            in_chs=in_chs,
            mid_chs=depthwise.out_channels,
            out_chs=projecting.out_channels,
            kernel_size=depthwise.kernel_size[0],
            stride=stride,
            expands=expanding is not None,
            act=next(iter(acts)),
            se=unit,
        )

    def _squeeze_excite(
        self, place: str, own_place: str, layer: Any, in_chs: int, mid_chs: int
    ) -> _Unit | None:
        if layer is None or isinstance(layer, nn.Identity):
            return None
        if type(layer) is not SqueezeExcite:
            raise NotOfTheFamily(f"block {place} has a {type(layer).__name__}")
        for theirs, ours in (("conv_reduce", "reduce"), ("conv_expand", "expand")):
            for tensor in ("weight", "bias"):
                self.names.append(
                    (f"blocks.{place}.se.{theirs}.{tensor}", f"stages.{own_place}.se.{ours}.{tensor}")
                )
        gate = GATES.get(type(layer.gate).__name__)
        if gate is None:
            self.odd(f"block {place} has the gate {type(layer.gate).__name__}")
        unit = _Unit(in_chs, mid_chs, layer.conv_reduce.out_channels, self._act(layer.act1), gate or "")
        self.units.append(unit)
        return unit

    def squeeze_excite(self) -> dict[str, Any]:
        """The one rule that all of them follow."""
        if len({(unit.act, unit.gate) for unit in self.units}) > 1:
            self.odd("its squeeze-and-excites have more than one activation or gate")
        for base in ("mid", "in"):
            for divisor in (8, 1):
                for reduction in REDUCTIONS:
                    if all(
                        make_divisible((u.mid_chs if base == "mid" else u.in_chs) // reduction, divisor)
                        == u.reduced_chs
                        for u in self.units
                    ):
                        first = self.units[0]
                        rule: dict[str, Any] = {"base": base, "reduction": reduction, "divisor": divisor}
                        return rule | {"act": first.act, "gate": first.gate}
        self.odd("no single rule gives the channels of its squeeze-and-excites")
        return {}

    def epsilon(self) -> float:
        if len(set(self._norms)) > 1:
            self.odd("its batch norms have more than one epsilon")
        return self._norms[0]

    def padding(self) -> str:
        if len(set(self._same)) > 1:
            self.odd("its convolutions are padded in two ways")
        return "same" if self._same and self._same[0] else "symmetric"

    def _act(self, layer: nn.Module) -> str:
        name = type(layer).__name__
        if name == "Identity":
            return "none"
        if name not in ACTIVATIONS:
            self.odd(f"it has the activation {name}")
        return ACTIVATIONS.get(name, "none")

    def _norm(self, theirs: str, layer: nn.Module, ours: str) -> str:
        """Name the tensors of a batch norm; its activation."""
        if type(layer) is not BatchNormAct2d:
            raise NotOfTheFamily(f"{theirs} is a {type(layer).__name__}, not a batch norm")
        norm: Any = layer
        self._norms.append(norm.eps)
        self.names += [(f"{theirs}.{tensor}", f"{ours}.{tensor}") for tensor in _NORM]
        return self._act(norm.act)

    def _conv(self, theirs: str, conv: nn.Module, ours: str, *, depthwise: bool = False) -> None:
        """Name the weight of a convolution, after a look at what is odd about it."""
        if not isinstance(conv, nn.Conv2d):
            raise NotOfTheFamily(f"{theirs} is a {type(conv).__name__}")
        groups = conv.in_channels if depthwise else 1
        square = conv.kernel_size[0] == conv.kernel_size[1] and conv.stride[0] == conv.stride[1]
        if not square or conv.bias is not None or conv.dilation != (1, 1):
            self.odd(f"{theirs} is no plain convolution")
        if conv.groups != groups:
            self.odd(f"{theirs} has {conv.groups} groups")
        if conv.stride[0] > 1:
            self._same.append(isinstance(conv, Conv2dSame))
        elif not isinstance(conv, Conv2dSame) and conv.padding != (conv.kernel_size[0] // 2,) * 2:
            self.odd(f"{theirs} is padded by {conv.padding}")
        self.names.append((f"{theirs}.weight", f"{ours}.weight"))


def _ratio(block: _Block) -> float | None:
    """The expand ratio by which a block's mid channels follow from its input's; None where none does."""
    ratio = plain_number(round(block.mid_chs / block.in_chs, RATIO_DIGITS))
    if not block.expands:
        return 1 if block.mid_chs == block.in_chs else None
    fits = is_ratio(ratio) and make_divisible(round(block.in_chs * ratio)) == block.mid_chs
    return ratio if fits and ratio >= 1 else None


def _choices(block: _Block, ratio: float, *, smallest: float) -> list[float]:
    """The ratio's shares, where they give channels of different number and an expanding convolution."""
    if not block.expands or ratio == 1:
        return [ratio]
    found = dict[int, float]()
    for share in EXPAND_SHARES:
        choice = (
            plain_number(round(float(share * Fraction(str(ratio))), RATIO_DIGITS)) if share < 1 else ratio
        )
        if choice >= smallest:
            found[make_divisible(round(block.in_chs * choice))] = choice
    return sorted(found.values())


def _alike(values: list[Any]) -> Any:
    """One value where all blocks have the same."""
    return values[0] if all(value == values[0] for value in values) else values
