"""Truncated networks as spaces: what is kept, what is not, and that costs follow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from random_spaces import space_configs

from anas_zoo.core.errors import ConfigError, SpaceError
from anas_zoo.space import SearchSpace, SpaceConfig, plan_network
from anas_zoo.space.cost import count_by_walking
from anas_zoo.space.truncation import truncations


@settings(max_examples=40, deadline=None)
@given(space_configs())
def test_each_is_the_beginning_of_the_whole(config: SpaceConfig) -> None:
    space = SearchSpace(config)
    for arch in (space.smallest, space.largest):
        found = truncations(space, arch, (16, 32))
        assert [len(one.structure.stages) for one in found] == list(range(1, len(arch.depth) + 1))
        whole = plan_network(space.structure, arch)
        for count, one in enumerate(found, 1):
            assert one.size == 2
            assert (one.smallest.resolution, one.largest.resolution) == (16, 32)
            plan = plan_network(one.structure, one.largest)
            assert plan.stages == whole.stages[:count]
            assert plan.stem_chs == whole.stem_chs
            counted = count_by_walking(one.structure, one.largest, 10)
            assert (one.macs([one.largest], 10)[0], one.params([one.largest], 10)[0]) == counted
            if count < len(found):
                assert one.structure.head.kind == "pool"
                assert plan.head_chs == plan.stages[-1][-1].out_chs
        assert found[-1].structure.head == space.structure.head


def test_an_architecture_of_another_space_is_refused() -> None:
    with pytest.raises(SpaceError):
        truncations(SearchSpace.load("tiny"), SearchSpace.load("glyphs").largest, (32,))


def test_a_mere_pool_has_no_width_of_its_own() -> None:
    data = truncations(SearchSpace.load("glyphs"), SearchSpace.load("glyphs").largest, (32,))[0].to_dict()
    data["head"]["width"] = [8]
    with pytest.raises(ConfigError, match="a head of kind pool reads what the last stage gives"):
        SearchSpace.from_dict(data)
    data["head"] = {"kind": "pool", "width": data["stages"][-1]["width"], "mix_bias": True}
    with pytest.raises(ConfigError, match="a head of kind pool has no mix"):
        SearchSpace.from_dict(data)
