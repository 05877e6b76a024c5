"""Training as int8 computes: what is rounded, what its gradients are, and that nothing of it stays."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.nets import Subnet, Supernet, calibrate_bn
from anas_zoo.nets.fake_quantization import fake_quantized, rounded_value, rounded_weight
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")


def network() -> Subnet:
    subnet = Supernet(SPACE, 10, generator=torch.Generator().manual_seed(0)).extract(SPACE.smallest)
    calibrate_bn(subnet, [images(32)])
    return subnet.eval()


def images(count: int, seed: int = 1) -> torch.Tensor:
    side = SPACE.smallest.resolution
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-4, 1e4))
def test_weights_have_whole_numbers_of_their_channels_scale(seed: int, size: float) -> None:
    weight = size * torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    found = rounded_weight(weight)
    scale = weight.flatten(1).abs().amax(1)[:, None, None, None] / 64
    steps = found / scale
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float(steps.abs().max()) <= 64.001
    assert bool(((found - weight).abs() <= 0.501 * scale).all())
    scaled = torch.tensor([1.0, 2.0, 0.1, 7.0, 3.0])[:, None, None, None]  # as folding a batch norm scales
    assert torch.allclose(rounded_weight(weight * scaled), found * scaled, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(-3, 3))
def test_values_have_256_steps_and_zero_is_one_of_them(seed: int, shift: float) -> None:
    value = torch.randn(4, 50, generator=torch.Generator().manual_seed(seed)) + shift
    value[0, 0] = 0.0
    value.requires_grad_()
    found = rounded_value(value)
    assert len(found.unique()) <= 256
    assert float(found[0, 0].detach()) == 0.0
    low, high = min(float(value.detach().min()), 0.0), max(float(value.detach().max()), 0.0)
    assert float((found - value).detach().abs().max()) <= 0.51 * (high - low) / 255 + 1e-6
    (found * torch.arange(50)).sum().backward()
    assert value.grad is not None
    inside = (value.grad == torch.arange(50)).float().mean()
    assert float(inside) > 0.97  # a value at an end may be rounded beyond it


def test_within_it_rounds_and_afterwards_nothing_is_left() -> None:
    subnet, batch = network(), images(8)
    before = copy.deepcopy(subnet.state_dict())
    with torch.no_grad():
        wanted = subnet(batch)
        with fake_quantized(subnet):
            rounded = subnet(batch)
        again = subnet(batch)
    assert torch.equal(wanted, again)
    assert not torch.equal(wanted, rounded)
    assert float((rounded - wanted).abs().max()) < 0.5 * float(wanted.std())
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in subnet.modules())


def test_an_error_within_leaves_the_weights_as_they_were() -> None:
    subnet = network()
    before = copy.deepcopy(subnet.state_dict())
    with pytest.raises(RuntimeError, match="stop"), fake_quantized(subnet):
        raise RuntimeError("stop")
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())


def test_gradients_are_those_of_the_rounded_weights() -> None:
    subnet = network()
    classifier: Any = subnet.classifier
    with fake_quantized(subnet):
        features = subnet.forward_head(subnet.forward_features(images(4)), pre_logits=True).detach()
        classifier(features).square().sum().backward()
    by_hand = torch.nn.functional.linear(
        features, rounded_weight(classifier.weight.detach()), classifier.bias
    )
    expected = (2 * by_hand.detach()).T @ features
    assert torch.allclose(classifier.weight.grad, expected, rtol=1e-4, atol=1e-5)


def test_it_is_nearer_to_the_int8_file_than_float_is() -> None:
    """The point of it: what training sees is what the file computes."""
    from anas_zoo.exporting import Target
    from anas_zoo.exporting.onnx_export import float_graph
    from anas_zoo.exporting.quantization import quantize
    from anas_zoo.exporting.sensitivity import _logits

    space = SearchSpace.load("tiny")
    subnet = Supernet(space, 10, generator=torch.Generator().manual_seed(0)).extract(space.largest)
    side = space.largest.resolution
    batch = torch.randn(100, 3, side, side, generator=torch.Generator().manual_seed(3))
    calibrate_bn(subnet, [batch])
    target = Target.load("ort-cpu-int8")
    assert target.quantization is not None
    file = torch.from_numpy(
        _logits(quantize(float_graph(subnet, target, side), batch, target.quantization), batch.numpy())
    )
    with torch.no_grad():
        plain = subnet.eval()(batch)
        with fake_quantized(subnet):
            rounded = subnet(batch)
    assert float((rounded - file).square().mean()) < 0.6 * float((plain - file).square().mean())
