from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms import functional as tv

from anas_zoo.data import DigitsSource, eval_tensor, eval_transform, with_preprocessing
from anas_zoo.entry import IMAGENET

REFERENCE = IMAGENET.in_mode("reference")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg"))


@pytest.mark.parametrize("resolution", [192, 224, 288])
def test_reference_is_a_224_crop_that_the_network_resizes(photo: Image.Image, resolution: int) -> None:
    crop = tv.center_crop(photo.resize((383, 256), Image.Resampling.BILINEAR), [224, 224])
    want = tv.normalize(tv.to_tensor(crop), IMAGENET.mean, IMAGENET.std)[None]
    if resolution != 224:
        size = (resolution, resolution)
        want = torch.nn.functional.interpolate(want, size, mode="bicubic", align_corners=False)
    assert torch.equal(eval_transform(REFERENCE, resolution)(photo), want[0])


def test_the_two_modes_see_different_pixels(photo: Image.Image) -> None:
    native = eval_transform(IMAGENET, 288)(photo)
    assert native.shape == (3, 288, 288)
    assert float((native - eval_transform(REFERENCE, 288)(photo)).abs().mean()) > 0.01


def test_another_contract_for_the_same_images() -> None:
    source = DigitsSource()
    other = with_preprocessing(source, source.preprocessing.in_mode("reference"))
    assert source.preprocessing.mode == "native"
    assert (other.name, other.fingerprint()) == (source.name, source.fingerprint())
    images = eval_tensor(other, [0, 1], other.preprocessing, 6)
    want = torch.stack([eval_transform(other.preprocessing, 6)(source.image(index)) for index in (0, 1)])
    assert torch.equal(images, want)
    assert not np.allclose(images, eval_tensor(source, [0, 1], source.preprocessing, 6), atol=0.1)
