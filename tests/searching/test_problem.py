from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_parts import DIGITS, SPACE, latency_ms, problem

from anas_zoo.core.errors import SearchError
from anas_zoo.searching import Limits, Problem, check_limits
from anas_zoo.searching.problem import draw_inside, keys_of

A0 = {"macs": 203_389_568, "params": 8_954_184}


def test_costs_are_the_exact_ones() -> None:
    costs = problem(latency_ms=latency_ms).costs(SPACE.encode([SPACE.smallest]))
    assert {name: costs[name][0] for name in A0} == A0
    assert set(costs) == {"macs", "params", "size_bytes", "latency_ms"}


def test_float32_weights_are_those_of_the_folded_network() -> None:
    import torch

    from anas_zoo.exporting.graph import fold_batch_norm
    from anas_zoo.nets import Supernet, calibrate_bn

    supernet = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
    for arch in (DIGITS.smallest, DIGITS.largest, DIGITS.sample(np.random.default_rng(0))):
        subnet = supernet.extract(arch)
        images = torch.randn(8, 3, arch.resolution, arch.resolution)
        calibrate_bn(subnet, [images])
        folded = fold_batch_norm(subnet, images)
        expected = sum(parameter.numel() for parameter in folded.parameters())
        assert int(DIGITS.size_bytes([arch], 10)[0]) == 4 * expected


@settings(max_examples=4, deadline=None)
@given(st.floats(210, 1500), st.floats(1, 900), st.sets(st.sampled_from([192, 224, 256, 288]), min_size=1))
def test_draws_keep_the_limits(low: float, width: float, resolutions: set[int]) -> None:
    limits = {"macs": {"min": low * 1e6, "max": (low + width) * 1e6}, "resolution": sorted(resolutions)}
    on, rng = problem(limits), np.random.default_rng(0)
    seen = set(keys_of(draw_inside(on, rng, 5, set())))
    for tilted in (False, True):
        codes = draw_inside(on, rng, 20, seen, tilted=tilted)
        assert len(set(keys_of(codes)) | seen) == len(codes) + len(seen)
        assert (on.breach(codes) == 0).all()
        macs = SPACE.macs(codes)
        assert ((macs >= low * 1e6) & (macs <= (low + width) * 1e6)).all()
        assert set(codes[:, 0].tolist()) <= resolutions


def test_tilted_draws_reach_both_ends_of_the_costs() -> None:
    rng = np.random.default_rng(0)
    uniform, tilted = (SPACE.macs(draw(rng, 5000)) for draw in (SPACE.sample_codes, SPACE.tilted_codes))
    assert tilted.min() < 215e6 < 260e6 < uniform.min()
    assert tilted.max() > 1.8e9 > uniform.max()


def test_a_range_of_a_hair_is_found_by_descent() -> None:
    on = problem({"macs": {"min": 1_899e6, "max": 1_900e6}})
    assert len(draw_inside(on, np.random.default_rng(0), 3, set())) == 3
    check_limits(on, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"macs": {"max": 100e6}}, r"100 is too little: .* reaches from 203\.4 to 1939"),
        ({"macs": {"max": 300e12}}, r"limits nothing: .* did you mean 300"),
        ({"macs": {"max": 300}}, r"0\.0003 is too little.*did you mean 300"),
        ({"params": {"min": 50e6}}, r"parameters \(M\) 50 is too much: .* from 8\.\d+ to 23\.4"),
        ({"macs": {"max": 250e6}, "resolution": [256]}, r"reaches from 356\.5 to 1535 at resolution 256"),
        (
            {"macs": {"max": 300e6}, "params": {"min": 20e6}},
            r"was found with MFLOPs .* at most 300, .* nearest",
        ),
        ({"latency_ms": {"max": 0.008}}, r"latency \(ms\) 0\.008 is too little.*did you mean 8"),
    ],
)
def test_what_cannot_be_ends_with_what_can(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(SearchError, match=said):
        check_limits(problem(limits, latency_ms=latency_ms), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objectives": ("top1_pct", "mac")}, "no objective 'mac' .did you mean 'macs'"),
        ({"objectives": ("macs", "params")}, "give top1_pct and at least one of macs, params"),
        ({"objectives": ("top1_pct",)}, "at least one of"),
        ({"objectives": ("top1_pct", "macs", "macs")}, "twice"),
        ({"objectives": ("top1_pct", "latency_ms")}, "give latency='FILE'; make one with: anas latency fit"),
        ({"limits": {"latency_ms": {"max": 8.0}}}, "give latency='FILE'"),
        ({"limits": {"resolution": [200, 224]}}, "resolution 200 is not in the space .* 192, 224, 256, 288"),
    ],
)
def test_problems_that_say_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SearchError, match=said):
        problem(**options)


def test_limits_in_words() -> None:
    limits = Limits.model_validate({"macs": {"min": 2e8, "max": 3e8}, "resolution": [224, 256]})
    assert limits.in_words() == "MFLOPs (multiply-adds) 200 to 300, resolution 224 or 256"
    assert Limits().in_words() == ""
    with pytest.raises(ValueError, match="min 3 is above max 2"):
        Limits.model_validate({"latency_ms": {"min": 3, "max": 2}})


def test_a_small_space_is_listed_whole() -> None:
    every = DIGITS.every_code()
    assert len(set(keys_of(every))) == len(every) == DIGITS.size
    on = Problem(DIGITS, num_classes=10, limits=Limits.model_validate({"macs": {"max": 60_000}}))
    inside = draw_inside(on, np.random.default_rng(0), 10**6, set())
    assert len(inside) == int((DIGITS.macs(every, 10) <= 60_000).sum()) > 0
