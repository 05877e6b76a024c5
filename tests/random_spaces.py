"""Search spaces that nobody designed, for properties that must hold in every one."""

from __future__ import annotations

from typing import TypeVar, get_args

from hypothesis import strategies as st

from anas_zoo.space import SpaceConfig
from anas_zoo.space.config import HeadConfig, StageConfig, StemConfig
from anas_zoo.space.structure import BlockKind, SqueezeExciteStructure

ACTS = st.sampled_from(["silu", "relu", "relu6", "hard_swish"])
BLOCKS: tuple[BlockKind, ...] = get_args(BlockKind)
KERNEL_SIZES = st.sampled_from([(3,), (5,), (3, 5), (3, 7), (1, 3), (3, 5, 7)])
RATIOS = st.sets(st.sampled_from([1.5, 2, 2.25, 2.3, 3, 4, 6]), min_size=1, max_size=3).map(
    lambda s: tuple(sorted(s))
)
T = TypeVar("T")


def _choices(low: int, high: int, most: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(st.integers(low, high), min_size=1, max_size=most).map(lambda s: tuple(sorted(s)))


def _alike_or_not(one: st.SearchStrategy[T], depth: int) -> st.SearchStrategy[T | tuple[T, ...]]:
    """One draw for all blocks of a stage, or one for each of them."""
    return st.one_of(one, st.tuples(*([one] * depth)))


@st.composite
def _stage(draw: st.DrawFn, index: int) -> StageConfig:
    depth, block = draw(_choices(1, 4)), draw(st.sampled_from(BLOCKS))
    always_expands = block == "inverted" and draw(st.booleans())
    kernel_sizes = _alike_or_not(KERNEL_SIZES, depth[-1])
    ratios: list[st.SearchStrategy[tuple[float, ...]]] = [st.just((1,))]
    if block != "plain":
        ratios += [_choices(2, 7), RATIOS] + [_choices(1, 4)] * (always_expands or block == "fused")
    expand_ratios = _alike_or_not(st.one_of(ratios), depth[-1])
    se = st.just(False) if block == "plain" else st.booleans()
    return StageConfig(
        name=f"s{index}",
        block=block,
        stride=draw(st.sampled_from([1, 2])),
        se=draw(_alike_or_not(se, depth[-1])),
        act=draw(ACTS),
        always_expands=always_expands,
        width=draw(_choices(1, 48)),
        depth=depth,
        kernel_size=draw(kernel_sizes),
        expand_ratio=draw(expand_ratios),
    )


@st.composite
def _head(draw: st.DrawFn, last_width: tuple[int, ...]) -> HeadConfig:
    act, width = draw(ACTS), draw(_choices(1, 64))
    if len(last_width) == 1 and draw(st.booleans()):
        return HeadConfig.model_validate({"kind": "pool", "act": act, "width": last_width})
    if draw(st.booleans()):
        return HeadConfig.model_validate({"kind": "conv_pool", "act": act, "width": width})
    return HeadConfig(
        act=act, width=width, expand_ratio=draw(st.integers(1, 8)), mix_bias=draw(st.booleans())
    )


def space_configs() -> st.SearchStrategy[SpaceConfig]:
    """Valid spaces of one to four stages with any choices, by stage or by block, and any structure."""
    stages = st.integers(1, 4).flatmap(lambda n: st.tuples(*(_stage(i) for i in range(n))))
    return stages.flatmap(_space)


def _space(stages: tuple[StageConfig, ...]) -> st.SearchStrategy[SpaceConfig]:
    return st.builds(
        SpaceConfig,
        name=st.just("random"),
        resolution=_choices(9, 64),
        stem=st.builds(
            StemConfig,
            stride=st.integers(1, 4),
            kernel_size=st.sampled_from([3, 5, 7]),
            act=ACTS,
            width=_choices(1, 32),
        ),
        stages=st.just(stages),
        head=_head(stages[-1].width),
        shortcut=st.sampled_from(["always", "identity"]),
        bn_eps=st.sampled_from([1e-5, 1e-3]),
        padding=st.sampled_from(["symmetric", "same"]),
        squeeze_excite=st.builds(
            SqueezeExciteStructure,
            base=st.sampled_from(["mid", "in"]),
            divisor=st.sampled_from([1, 8]),
            act=ACTS,
            gate=st.sampled_from(["hard_sigmoid", "sigmoid"]),
        ),
        kernel_transform=st.booleans(),
    )
