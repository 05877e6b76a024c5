"""The list of layers sums to the costs, and the authors' parameter count to their numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_spaces import space_configs

from anas_zoo.space import (
    Architecture,
    SearchSpace,
    SpaceConfig,
    count_by_walking,
    layer_kind,
    macs_by_kind,
    network_layers,
    params_as_authors_count,
)

GOLDEN: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "attentivenas.json").read_text()
)
STRUCTURE = SearchSpace.load("attentive_nas").structure


def test_the_authors_count_is_theirs() -> None:
    for fact in GOLDEN:
        arch = Architecture.from_dict(fact["arch"])
        assert params_as_authors_count(STRUCTURE, arch, 1000) == fact["reference_params"], fact["name"]


def test_the_authors_count_is_larger_where_shortcuts_have_no_convolution() -> None:
    facts = {fact["name"]: fact for fact in GOLDEN}
    assert (facts["a0"]["params"], facts["a0"]["reference_params"]) == (8_954_184, 9_064_648)
    arch = Architecture.from_dict(facts["a0"]["arch"])
    blocks = [(16, 1), (24, 2), (32, 2), (64, 2), (112, 2), (192, 2)]  # channels, blocks after the first
    identities = sum(width * width * count for width, count in blocks[1:]) + 16 * 16
    assert params_as_authors_count(STRUCTURE, arch, 1000) - 8_954_184 == identities


@given(config=space_configs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, database=None)
def test_layers_sum_to_the_costs_in_any_space(config: SpaceConfig, seed: int) -> None:
    space = SearchSpace(config)
    codes = space.sample_codes(np.random.default_rng(seed), 3)
    for arch, folded_bytes in zip(space.decode(codes), space.size_bytes(codes, 10), strict=True):
        layers = network_layers(space.structure, arch, 10)
        sums = (sum(layer.macs for layer in layers), sum(layer.params for layer in layers))
        assert sums == count_by_walking(space.structure, arch, 10)
        assert 4 * sum(layer.folded_params for layer in layers) == folded_bytes
        assert sum(macs_by_kind(layers).values()) == sums[0]
        assert "pooled" not in macs_by_kind(layers)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ({"kernel_size": 3, "groups": 1, "side": 96, "stride": 2, "first": True}, "stem"),
        ({"kernel_size": 3, "groups": 96, "side": 48, "stride": 2}, "depthwise"),
        ({"kernel_size": 1, "groups": 1, "side": 48}, "pointwise"),
        ({"kernel_size": 1, "groups": 1, "side": 1}, "linear"),
        ({"kernel_size": 2, "groups": 1, "side": 48, "stride": 2}, "pooled"),
        ({"kernel_size": 3, "groups": 1, "side": 48, "stride": 2}, "dense"),
    ],
)
def test_kinds(shape: dict[str, Any], kind: str) -> None:
    assert layer_kind(**shape) == kind
