"""``torch.export`` with any batch, height and width."""

from __future__ import annotations

import pytest
import timm
import torch
from packaging.version import Version
from torch.export import Dim, export


@pytest.mark.skipif(
    Version(torch.__version__) < Version("2.13"),
    reason="older torch.export, of 2.9 for one, refuses sides that may be odd or even",
)
@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_s", "digits_l", "attentive_nas_a0", "attentive_nas_a6"])
def test_batch_height_and_width_stay_free(name: str) -> None:
    """Odd and even sides alike, down to feature maps of two pixels; the values are the network's own."""
    model = timm.create_model(name, num_classes=10).eval()
    stride = model.feature_info[-1]["reduction"]
    least = stride + 1
    sides = [Dim(side, min=least, max=4096) for side in ("height", "width")]
    free = {0: Dim("batch", min=1, max=1024), 2: sides[0], 3: sides[1]}
    program = export(model, (torch.zeros(2, 3, 2 * stride, 3 * stride),), dynamic_shapes=(free,)).module()
    generator = torch.Generator().manual_seed(0)
    for count, height, width in ((1, least, least + 1), (3, 2 * stride, 2 * stride + 3), (2, 61, 50)):
        images = torch.randn(count, 3, height, width, generator=generator)
        with torch.no_grad():
            assert torch.equal(program(images), model(images)), (count, height, width)
