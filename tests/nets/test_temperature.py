"""The temperature of a network's logits: found again where it is known, and folded into the classifier."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from anas_zoo.nets import Subnet
from anas_zoo.nets.temperature import HIGHEST, divide_logits, fitted_temperature
from anas_zoo.space import SearchSpace

SPACE = SearchSpace.load("digits")


@settings(max_examples=20, deadline=None)
@given(st.floats(0.25, 4.0), st.integers(0, 3))
def test_a_known_temperature_is_found_again(temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    honest = 2 * torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    assert fitted_temperature(temperature * honest, labels) == pytest.approx(temperature, rel=0.1)


def test_logits_that_are_all_right_or_say_nothing_have_a_temperature_too() -> None:
    labels = torch.arange(98) % 3
    right = F.one_hot(labels, 3).float()
    sure = (right / fitted_temperature(right, labels)).softmax(1).amax(1)
    # A hundredth of doubt, two thirds of which go to the other classes.
    assert torch.allclose(sure, torch.tensor(1 - 0.01 * 2 / 3), atol=1e-3)
    assert 1 / HIGHEST <= fitted_temperature(torch.zeros(98, 3), labels) <= HIGHEST
    assert fitted_temperature(-right, labels) == pytest.approx(HIGHEST, rel=0.01)


def test_it_is_folded_into_the_classifier() -> None:
    torch.manual_seed(0)
    subnet = Subnet(SPACE.smallest, SPACE.structure, num_classes=10).eval()
    assert isinstance(subnet.classifier, torch.nn.Linear)
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        subnet.classifier.bias.normal_()
        before = subnet(images)
        divide_logits(subnet, 0.5)
        assert torch.allclose(subnet(images), 2 * before, rtol=1e-5, atol=1e-6)
