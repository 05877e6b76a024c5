"""Entries and timm: the shelf's entry points, local folders, and weights that are or are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anas_zoo.core.errors import NoWeightsError, SpaceError
from anas_zoo.core.resources import resource_folder
from anas_zoo.nets import Subnet, Supernet, calibrate_bn, timm_models
from anas_zoo.space import SearchSpace

DIGITS = SearchSpace.load("digits")
REAL = SearchSpace.load("attentive_nas")
ARCH = DIGITS.sample(np.random.default_rng(3))
MODELS = resource_folder("models")
WITH_WEIGHTS = sorted(path.parent.name for path in MODELS.glob("*/model.safetensors"))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """timm initialises from torch's global generator: seed it, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _images(side: int, count: int = 2, chans: int = 3) -> Tensor:
    return torch.randn(count, chans, side, side, generator=torch.Generator().manual_seed(0))


def test_without_an_architecture_it_says_what_to_type() -> None:
    with pytest.raises(SpaceError, match=r"needs an architecture: timm\.create_model.*attentive_nas_a0"):
        timm.create_model("attentive_nas")
    with pytest.raises(SpaceError, match="missing key 'width'"):
        timm.create_model("attentive_nas", arch={"resolution": 192})
    with pytest.raises(SpaceError, match="outside the space 'attentive_nas'"):
        timm.create_model("attentive_nas", arch=REAL.smallest.to_dict() | {"resolution": 100})


def test_weights_that_are_not_there() -> None:
    pattern = r"attentive_nas_a0 has no weights.*anas import authors CHECKPOINT --data DIR --out DIR"
    with pytest.raises(NoWeightsError, match=pattern):
        timm.create_model("attentive_nas_a0", pretrained=True)
    with pytest.raises(NoWeightsError):
        timm.create_model("attentive_nas", arch=REAL.smallest, pretrained=True)
    with pytest.raises(NoWeightsError):
        timm.create_model(f"local-dir:{MODELS / 'attentive_nas_a0'}", pretrained=True)


def _entry(folder: Path) -> Subnet:
    """Write the part of an entry that timm reads; returns the network that is in it."""
    supernet = Supernet(DIGITS, 10, generator=torch.Generator().manual_seed(0))
    subnet = supernet.extract(ARCH)
    record = calibrate_bn(subnet, [_images(16, count=8)])
    config = {
        "architecture": "attentive_nas",
        "num_classes": 10,
        "label_names": [str(digit) for digit in range(10)],
        "model_args": {"arch": ARCH.to_dict(), "structure": DIGITS.structure.model_dump(mode="json")},
        "pretrained_cfg": {
            "input_size": [3, ARCH.resolution, ARCH.resolution],
            "crop_pct": 1.0,
            "first_conv": "stem.conv",
            "classifier": "classifier",
            "license": "mit",
            "num_classes": 10,
        },
        "anas": {"calibration": record.model_dump()},
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(subnet.state_dict(), folder / "model.safetensors")
    return subnet


@torch.no_grad()
def test_an_entry_folder_loads_with_timm_alone(tmp_path: Path) -> None:
    subnet = _entry(tmp_path / "entry")
    side = subnet.arch.resolution
    images = _images(side)
    model = timm.create_model(f"local-dir:{tmp_path / 'entry'}", pretrained=True).eval()
    assert torch.equal(model(images), subnet(images))
    assert model.calibration == subnet.calibration
    assert model.is_calibrated()
    assert model.pretrained_cfg["pool_size"] == (-(-side // 4),) * 2
    assert model.pretrained_cfg["label_names"][3] == "3"
    data = timm.data.resolve_model_data_config(model)
    assert tuple(data["input_size"]) == (3, side, side)
    assert data["crop_pct"] == 1.0

    gray = timm.create_model(f"local-dir:{tmp_path / 'entry'}", pretrained=True, in_chans=1, num_classes=3)
    assert gray.eval()(_images(side, chans=1)).shape == (2, 3)
    assert torch.equal(gray.mix.weight, subnet.mix.weight)
    untrained = timm.create_model(f"local-dir:{tmp_path / 'entry'}")
    assert not untrained.is_calibrated()
    backbone = timm.create_model(f"local-dir:{tmp_path / 'entry'}", pretrained=True, features_only=True)
    _, maps = subnet.forward_intermediates(images)
    torch.testing.assert_close(backbone.eval()(images)[-1], maps[-1])


@pytest.mark.parametrize("name", WITH_WEIGHTS)
@torch.no_grad()
def test_shelf_weights_give_their_golden_logits(name: str) -> None:
    golden = load_file(MODELS / name / "golden.safetensors")
    model = timm.create_model(name, pretrained=True).eval()
    torch.testing.assert_close(model(golden["images"]), golden["logits"], rtol=1e-4, atol=1e-4)
    assert model.is_calibrated()


def test_a_broken_entry_is_left_out_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _entry(tmp_path / "good_small_entry")
    for name, text in {"broken": "{", "odd": '{"architecture": 1}', "resnet18": "{}"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    monkeypatch.setattr(timm_models, "resource_folder", lambda _: tmp_path)
    with pytest.warns(UserWarning, match="left out of timm's models") as caught:
        timm_models._register_shelf()
    try:
        texts = sorted(str(w.message) for w in caught)
        assert len(texts) == 3
        assert "not valid JSON" in texts[0]
        assert "not the config of an entry" in texts[1]
        assert "'resnet18' cannot be the name of a model" in texts[2]
        model = timm.create_model("good_small_entry", pretrained=True)
        assert model.is_calibrated()
    finally:
        timm.models._registry._model_entrypoints.pop("good_small_entry")
        timm.models._registry._clear_model_entries("good_small_entry")
