from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torchvision.transforms import functional as tv

from anas_zoo.core.errors import ConfigError
from anas_zoo.data import DigitsSource, Preprocessing, eval_tensor, with_preprocessing
from anas_zoo.data.preprocessing import IMAGENET

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
    assert torch.equal(REFERENCE.transform(resolution)(photo), want[0])


def test_the_two_modes_see_different_pixels(photo: Image.Image) -> None:
    native = IMAGENET.transform(288)(photo)
    assert native.shape == (3, 288, 288)
    assert float((native - REFERENCE.transform(288)(photo)).abs().mean()) > 0.01


def test_reference_fixes_filter_and_crop() -> None:
    with pytest.raises(ConfigError, match=r"'reference' has .*'bilinear'.*got .*'bicubic'") as caught:
        Preprocessing("bicubic", 0.875, IMAGENET.mean, IMAGENET.std, "reference")
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"got .*'crop_pct': 1.0"):
        Preprocessing("bilinear", 1.0, IMAGENET.mean, IMAGENET.std, "reference")


def test_a_change_of_mode_keeps_the_normalisation() -> None:
    own = Preprocessing("lanczos", 1.0, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    there = own.in_mode("reference")
    assert there == Preprocessing("bilinear", 0.875, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "reference")
    assert there.in_mode("native") == Preprocessing("bilinear", 0.875, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    assert own.in_mode("native") == own
    assert Preprocessing(**there.to_dict() | {"mean": own.mean, "std": own.std}) == there


def test_another_contract_for_the_same_images() -> None:
    source = DigitsSource()
    other = with_preprocessing(source, source.preprocessing.in_mode("reference"))
    assert source.preprocessing.mode == "native"
    assert (other.name, other.fingerprint()) == (source.name, source.fingerprint())
    images = eval_tensor(other, [0, 1], other.preprocessing, 6)
    want = torch.stack([other.preprocessing.transform(6)(source.image(index)) for index in (0, 1)])
    assert torch.equal(images, want)
    assert not np.allclose(images, eval_tensor(source, [0, 1], source.preprocessing, 6), atol=0.1)
