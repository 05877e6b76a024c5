"""Linear probes: the features that they read, what they fit, and the networks that they become part of."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from anas_zoo.entry import Calibration
from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.nets.linear_probe import first_stages, fit_linear_probe, stage_features
from anas_zoo.space import SearchSpace
from anas_zoo.space.truncation import truncations


def _images(count: int, side: int = 16) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", ["glyphs", "tiny", "ofa_mbv3_w1_0"])
@torch.no_grad()
def test_a_truncated_network_with_a_probe_computes_the_probe_of_the_features(name: str) -> None:
    space = SearchSpace.load(name)
    whole = Supernet(space, 7, generator=torch.Generator().manual_seed(0)).extract(space.smallest)
    calibrate_bn(whole, [_images(16)])
    images = _images(5)
    features = stage_features(whole, [images[:3], images[3:]])
    spaces = truncations(space, space.smallest, (16,))
    assert len(features) == len(spaces) == len(space.config.stages)
    for one, found in zip(spaces, features, strict=True):
        weight, bias = torch.randn(4, found.shape[1]), torch.randn(4)
        network = first_stages(whole, one.largest, one.structure, weight, bias)
        assert network.is_calibrated()
        torch.testing.assert_close(network(images), found @ weight.T + bias, rtol=1e-3, atol=1e-3)
    before = whole.state_dict()["stem.conv.weight"].clone()
    network.stem.conv.weight.add_(1)
    assert torch.equal(whole.state_dict()["stem.conv.weight"], before), "the weights are its own"
    whole.calibration = Calibration(kind="trained")


def test_the_probe_is_the_logistic_regression_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    features = (
        torch.randn(90, 5, generator=generator) * torch.tensor([1.0, 10, 0.1, 1, 3]) + labels[:, None] / 2
    )
    features[:, 3] = 2.0  # a channel that never changes tells nothing, and breaks nothing
    weight, bias = fit_linear_probe(features, labels, 3, weight_decay=0.02)
    assert torch.isfinite(weight).all()
    standard = (features - features.mean(0)) / features.std(0, correction=0).clamp_min(1e-6)
    other = LogisticRegression(C=1 / (0.02 * len(labels)), tol=1e-8, max_iter=1000).fit(standard, labels)
    expected = torch.as_tensor(other.predict_proba(standard), dtype=torch.float32)
    torch.testing.assert_close((features @ weight.T + bias).softmax(1), expected, rtol=0, atol=2e-3)
    again = fit_linear_probe(features, labels, 3, weight_decay=0.02)
    assert torch.equal(weight, again[0])
