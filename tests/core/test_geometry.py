from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as tv

from anas_zoo.core.geometry import crop_offset, cubic_matrix, resized_short_side, resized_size


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40))
def test_sizes_are_torchvisions(width: int, height: int, short_side: int) -> None:
    resized = tv.resize(Image.new("1", (width, height)), [short_side], antialias=True)
    assert resized_size(width, height, short_side) == resized.size


@given(st.integers(1, 40), st.integers(0, 60))
def test_the_middle_is_torchvisions(side: int, more: int) -> None:
    line = torch.arange(side + more).expand(side, -1)
    assert int(tv.center_crop(line, [side, side])[0, 0]) == crop_offset(side + more, side)


def test_the_short_side_is_timms() -> None:
    assert [resized_short_side(*given) for given in ((224, 0.875), (192, 0.875), (14, 1.0))] == [256, 219, 14]


@pytest.mark.parametrize(("source", "target"), [(224, 192), (224, 288), (224, 256), (224, 6), (5, 9), (1, 4)])
def test_bicubic_weights_are_torchs(source: int, target: int) -> None:
    # Against the identity, the resize of a line is its matrix.
    lines = torch.eye(source)[:, None, None, :]
    resized = torch.nn.functional.interpolate(lines, (1, target), mode="bicubic", align_corners=False)
    matrix = cubic_matrix(source, target)
    # One rounding of a place near 200 in float32 is worth 1e-5 of a weight.
    np.testing.assert_allclose(matrix, resized[:, 0, 0].T.numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-12)
