from __future__ import annotations

import numpy as np
import pytest
from latency_records import COEFFICIENTS, works_of

from anas_zoo.core.errors import ProfileError
from anas_zoo.profiling.latency_fit import fit_coefficients, spread_codes
from anas_zoo.profiling.work import WORK, work_of
from anas_zoo.space import SearchSpace, SpaceConfig, network_layers

SPACE = SearchSpace.load("attentive_nas")
NONE = np.empty((0, SPACE.genes.count), dtype=np.int64)
MACS = ("stem_macs", "wide_macs", "narrow_macs", "depthwise3_macs", "depthwise_macs", "vector_weights")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_measured_subnets_differ_and_reach_further_in_cost_than_uniform_draws() -> None:
    fitted = spread_codes(SPACE, 60, rng(), apart_from=NONE)
    held_out = spread_codes(SPACE, 31, rng(1), apart_from=fitted)
    assert held_out.shape == (31, SPACE.genes.count)
    assert len(np.unique(np.concatenate([fitted, held_out]), axis=0)) == 91
    assert (fitted == spread_codes(SPACE, 60, rng(), apart_from=NONE)).all()
    uniform = SPACE.macs(SPACE.sample_codes(rng(), 60))
    assert np.log(SPACE.macs(fitted)).std() > 1.3 * np.log(uniform).std()


def test_a_space_with_too_few_architectures() -> None:
    data = SearchSpace.load("digits").to_dict()
    stage = data["stages"][0] | {"width": [8], "depth": [1, 2], "kernel_size": [3], "expand_ratio": [1]}
    data |= {"resolution": [8], "stages": [stage], "head": data["head"] | {"width": [64, 96]}}
    space = SearchSpace(SpaceConfig.model_validate(data))
    ends = space.encode([space.smallest, space.largest])
    codes = spread_codes(space, 6, rng(), apart_from=ends)
    assert len(np.unique(np.concatenate([ends, codes]), axis=0)) == space.size == 8
    with pytest.raises(ProfileError, match="has 8 architectures, 9 were asked for"):
        spread_codes(space, 7, rng(), apart_from=ends)


@pytest.mark.parametrize("name", ["attentive_nas", "digits"])
def test_the_kinds_of_work_hold_every_multiply_add_once(name: str) -> None:
    space = SearchSpace.load(name)
    codes = space.sample_codes(rng(), 10)
    columns = [list(WORK).index(kind) for kind in MACS]
    found = 1e6 * works_of(space, codes, 100)[:, columns].sum(axis=1)
    assert found == pytest.approx(space.macs(codes, num_classes=100), rel=1e-12)
    layers = network_layers(space.structure, space.largest, 100)
    weights = dict(zip(WORK, work_of(layers), strict=True))
    read = sum(layer.weights for layer in layers if layer.role != "stem")
    assert 1e6 * (weights["weights"] + weights["vector_weights"]) == pytest.approx(read, rel=1e-12)


@pytest.mark.parametrize("noise_pct", [0.0, 1.0, 5.0])
def test_the_fit_finds_what_made_the_times(noise_pct: float) -> None:
    codes = spread_codes(SPACE, 90, rng(), apart_from=NONE)
    work = works_of(SPACE, codes, 1000)
    truth_ms = work @ COEFFICIENTS
    noisy_ms = truth_ms * (1 + noise_pct / 100 * rng(2).standard_normal(len(codes)))
    found = fit_coefficients(work[:60], noisy_ms[:60])
    assert (found >= 0).all()
    # Against the truth the prediction is better than a single measurement, for it saw sixty.
    error = np.median(np.abs(100 * (work[60:] @ found / truth_ms[60:] - 1)))
    assert error < max(0.2, 0.6 * noise_pct)


def test_kinds_of_work_that_a_space_lacks_cost_nothing() -> None:
    work = rng().random((20, 4)) + 1.0
    work[:, 2] = 0.0
    found = fit_coefficients(work, work @ np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == pytest.approx([1.0, 2.0, 0.0, 4.0], rel=0.05)
