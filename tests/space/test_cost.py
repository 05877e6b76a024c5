"""Costs: the golden integers, and tables against the plain walk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import space_configs

from anas_zoo.core.errors import SpaceError
from anas_zoo.space import Architecture, SearchSpace, SpaceConfig, count_by_walking
from anas_zoo.space.variation import crossover, mutate, neighbours

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "attentivenas.json").read_text()
)
REAL = SearchSpace.load("attentive_nas")
DIGITS = SearchSpace.load("digits")


@pytest.mark.parametrize("fact", GOLDEN, ids=[fact["name"] for fact in GOLDEN])
def test_golden_costs_are_exact(fact: dict[str, Any]) -> None:
    arch = Architecture.from_dict(fact["arch"])
    assert REAL.macs([arch]).tolist() == [fact["macs"]]
    assert REAL.params([arch]).tolist() == [fact["params"]]
    assert count_by_walking(REAL.structure, arch, 1000) == (fact["macs"], fact["params"])


def test_the_golden_facts_are_the_ones_they_were() -> None:
    assert len(GOLDEN) == 17
    by_name = {fact["name"]: fact for fact in GOLDEN}
    assert by_name["a0"]["macs"] == 203_389_568
    assert by_name["a6"]["params"] == 15_154_792
    assert Architecture.from_dict(by_name["min"]["arch"]) == REAL.smallest
    assert Architecture.from_dict(by_name["max"]["arch"]) == REAL.largest


def _agrees(space: SearchSpace, seed: int, num_classes: int) -> None:
    codes = space.sample_codes(np.random.default_rng(seed), 8)
    archs = space.decode(codes)
    walked = [count_by_walking(space.structure, arch, num_classes) for arch in archs]
    assert space.macs(codes, num_classes).tolist() == [macs for macs, _ in walked]
    assert space.params(codes, num_classes).tolist() == [params for _, params in walked]
    assert (space.macs(archs, num_classes) == space.macs(codes, num_classes)).all()


@given(seed=st.integers(0, 2**32 - 1), num_classes=st.integers(1, 5000))
@settings(max_examples=30, deadline=None, database=None)
def test_tables_equal_the_walk_in_both_presets(seed: int, num_classes: int) -> None:
    _agrees(REAL, seed, num_classes)
    _agrees(DIGITS, seed, num_classes)


@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, database=None)
def test_tables_equal_the_walk_in_any_space(config: SpaceConfig, seed: int) -> None:
    _agrees(SearchSpace(config), seed, 10)


@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None, database=None)
def test_genes_of_absent_blocks_have_no_effect(config: SpaceConfig, seed: int) -> None:
    space = SearchSpace(config)
    full = space.full_codes(np.random.default_rng(seed), 8)
    codes = space.genes.canonical(full)
    archs = space.decode(full)
    assert archs == space.decode(codes)
    assert [Architecture.from_dict(arch.to_dict()).id for arch in archs] == [arch.id for arch in archs]
    assert (space.encode(archs) == codes).all()
    assert (space.macs(full) == space.macs(archs)).all()
    assert (space.genes.indices(full) == space.genes.indices(codes)).all()
    for varied in (
        mutate(space, codes, np.random.default_rng(seed), probability=0.5),
        crossover(space, codes, codes[::-1], np.random.default_rng(seed)),
        neighbours(space, codes[:1]),
    ):
        assert (space.encode(space.decode(varied)) == varied).all()


def test_a_present_block_without_a_kernel_size_is_refused() -> None:
    space = SearchSpace.load("ofa_mbv3_w1_0")
    codes = space.encode([space.largest])
    gene = space.genes.names.index("kernel_size of mb1, block 4")
    codes[0, gene] = 0
    for refusing in (space.macs, space.decode):
        with pytest.raises(SpaceError, match="kernel_size of mb1, block 4 is 0, allowed: 3, 5, 7"):
            refusing(codes)


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("kernel_size", [3, [3, 5, 7], 3, 3, 3, 3], "kernel_size of stage 1 has 3 values for 2 blocks"),
        ("kernel_size", [3, [3, 9], 3, 3, 3, 3], "kernel_size of mb1, block 2 is 9, allowed: 3, 5, 7"),
        ("expand_ratio", [1, 3, [3, 4.5], 3, 3, 3], "expand_ratio of mb2, block 2 is 4.5, allowed: 3, 4, 6"),
        ("depth", [1, 5, 2, 2, 2, 2], "depth of mb1 is 5, allowed: 2, 3, 4"),
    ],
)
def test_an_architecture_outside_a_space_of_blocks_is_refused(
    key: str, value: list[object], wrong: str
) -> None:
    space = SearchSpace.load("ofa_mbv3_w1_0")
    changed: dict[str, Any] = {key: tuple(tuple(v) if isinstance(v, list) else v for v in value)}
    outside = dataclasses.replace(space.smallest, **changed)
    with pytest.raises(SpaceError, match=wrong):
        space.macs([space.largest, outside])


def test_a_list_longer_than_one_chunk_keeps_its_order() -> None:
    space = SearchSpace.load("ofa_mbv3_w1_0")
    codes = space.sample_codes(np.random.default_rng(0), 5000)
    assert (space.codes(space.decode(codes)) == codes).all()


def test_more_rows_than_one_chunk_keep_their_order() -> None:
    codes = DIGITS.sample_codes(np.random.default_rng(0), 20_000)
    costs = DIGITS.macs(codes)
    assert costs.dtype == np.int64
    picked = [0, 8191, 8192, 19_999]
    assert costs[picked].tolist() == DIGITS.macs(codes[picked]).tolist()


def test_costs_are_int64_whatever_integers_come_in() -> None:
    codes = REAL.encode([REAL.largest])
    for dtype in (np.int16, np.uint16, np.int32, np.uint64):
        assert REAL.macs(codes.astype(dtype)).tolist() == [1_939_335_808]
    assert REAL.macs(codes).dtype == REAL.params(codes).dtype == np.int64
    assert REAL.macs([]).shape == (0,)


@pytest.mark.parametrize("value", [-1, 7, 10**12])
@pytest.mark.parametrize("gene", [0, 9, 30])
def test_a_foreign_value_is_refused_by_name(gene: int, value: int) -> None:
    codes = REAL.encode([REAL.smallest, REAL.smallest])
    codes[1, gene] = value
    with pytest.raises(SpaceError, match=f"{REAL.genes.names[gene]} is {value}, allowed: "):
        REAL.macs(codes)
    with pytest.raises(SpaceError, match="outside the space"):
        REAL.decode(codes)


def test_an_architecture_outside_is_refused() -> None:
    wrong = Architecture.from_dict(REAL.smallest.to_dict() | {"resolution": 200})
    with pytest.raises(SpaceError, match="resolution is 200, allowed: 192, 224, 256, 288"):
        REAL.macs([wrong])
    # Two lists of wrong length can add up to the right number of genes.
    swapped = REAL.smallest.to_dict()
    swapped["depth"], swapped["width"] = swapped["depth"] + [3], swapped["width"][:-1]
    with pytest.raises(SpaceError, match=r"width has 8 values.*depth has 8 values"):
        REAL.params([Architecture.from_dict(swapped)])


def test_codes_of_wrong_form_are_refused() -> None:
    for codes in (np.zeros((2, 30), dtype=np.int64), np.zeros((1, 31)), np.zeros(31, dtype=np.int64)):
        with pytest.raises(SpaceError, match=r"integers of shape \(N, 31\)"):
            REAL.macs(codes)
    with pytest.raises(SpaceError, match="give a list"):
        REAL.macs(REAL.smallest)  # type: ignore[arg-type]
