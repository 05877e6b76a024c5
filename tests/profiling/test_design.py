from __future__ import annotations

import numpy as np
import pytest

from anas_zoo.core.errors import ProfileError
from anas_zoo.profiling.design import designed_codes, held_out_codes, least_designed
from anas_zoo.space import SearchSpace, SpaceConfig

SPACE = SearchSpace.load("attentive_nas")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", ["attentive_nas", "digits"])
@pytest.mark.parametrize("count", [None, 60, 61])
def test_every_choice_of_every_gene_is_met(name: str, count: int | None) -> None:
    space = SearchSpace.load(name)
    codes = designed_codes(space, count or least_designed(space), rng())
    assert len(np.unique(codes, axis=0)) == len(codes) == (count or least_designed(space))
    assert space.decode(codes[:2]) == [space.smallest, space.largest]
    for choices, column in zip(space.genes.choices, codes.T, strict=True):
        assert set(choices) == set(column.tolist())


def test_the_design_reaches_further_in_cost_than_uniform_draws() -> None:
    designed = SPACE.macs(designed_codes(SPACE, 60, rng())[2:])  # without the two ends
    uniform = SPACE.macs(SPACE.sample_codes(rng(), 58))
    assert np.log(designed).std() > 1.5 * np.log(uniform).std()


def test_the_balanced_half_meets_every_choice_equally_often() -> None:
    codes = designed_codes(SPACE, 2 + 2 * 24, rng())[2:26]
    for choices, column in zip(SPACE.genes.choices, codes.T, strict=True):
        counts = [int((column == choice).sum()) for choice in choices]
        assert max(counts) - min(counts) <= 2
    assert sorted(set(SPACE.genes.choices[0])) == sorted(set(codes[:, 0].tolist()))


def test_held_out_subnets_are_others() -> None:
    designed = designed_codes(SPACE, 60, rng())
    held_out = held_out_codes(SPACE, 31, rng(1), apart_from=designed)
    assert held_out.shape == (31, SPACE.genes.count)
    assert len(np.unique(np.concatenate([designed, held_out]), axis=0)) == 91


def test_a_seed_is_a_design() -> None:
    assert (designed_codes(SPACE, 40, rng()) == designed_codes(SPACE, 40, rng())).all()
    assert (designed_codes(SPACE, 40, rng()) != designed_codes(SPACE, 40, rng(1))).any()


def test_numbers_that_cannot_be() -> None:
    with pytest.raises(ProfileError, match=r"13 subnets are too few .*; give at least 14"):
        designed_codes(SPACE, 13, rng())
    with pytest.raises(ProfileError, match="at least 2 held-out subnets, got 1"):
        held_out_codes(SPACE, 1, rng(), apart_from=designed_codes(SPACE, 14, rng()))


def test_a_space_with_too_few_architectures() -> None:
    data = SearchSpace.load("digits").to_dict()
    stage = data["stages"][0] | {"width": [8], "depth": [1, 2], "kernel_size": [3], "expand_ratio": [1]}
    data |= {"resolution": [8], "stages": [stage], "head": data["head"] | {"width": [64, 96]}}
    space = SearchSpace(SpaceConfig.model_validate(data))
    assert space.size == 8
    codes = designed_codes(space, 8, rng())
    assert len(np.unique(codes, axis=0)) == 8
    with pytest.raises(ProfileError, match="has 8 architectures, 10 were asked for"):
        held_out_codes(space, 2, rng(), apart_from=codes)
