"""Search spaces that nobody designed, for properties that must hold in every one."""

from __future__ import annotations

from hypothesis import strategies as st

from anas_zoo.space import SpaceConfig
from anas_zoo.space.config import HeadConfig, StageConfig, StemConfig

ACTS = st.sampled_from(["silu", "relu", "hard_swish"])


def _choices(low: int, high: int, most: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(st.integers(low, high), min_size=1, max_size=most).map(lambda s: tuple(sorted(s)))


def _stage(index: int) -> st.SearchStrategy[StageConfig]:
    return st.builds(
        StageConfig,
        name=st.just(f"s{index}"),
        stride=st.sampled_from([1, 2]),
        se=st.booleans(),
        act=ACTS,
        width=_choices(1, 48),
        depth=_choices(1, 4),
        kernel_size=st.sampled_from([(3,), (5,), (3, 5), (3, 7), (1, 3)]),
        expand_ratio=st.one_of(st.just((1,)), _choices(2, 7)),
    )


def space_configs() -> st.SearchStrategy[SpaceConfig]:
    """Valid spaces of one to four stages with any widths, strides, kernels and ratios."""
    stages = st.integers(1, 4).flatmap(lambda n: st.tuples(*(_stage(i) for i in range(n))))
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
        stages=stages,
        head=st.builds(HeadConfig, expand_ratio=st.integers(1, 8), act=ACTS, width=_choices(1, 64)),
    )
