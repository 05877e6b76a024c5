"""Our networks as timm models: what timm's users and tools rely on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from catalog_entries import FIRST_FORMAT
from safetensors.torch import load_file
from timm.layers import DropPath
from torch import Tensor, nn

from anas_zoo import list_models
from anas_zoo.core.errors import NoWeightsError, SpaceError
from anas_zoo.core.resources import resource_folder, shelf_aliases
from anas_zoo.entry import read_config
from anas_zoo.nets import calibrate_bn
from anas_zoo.space import SearchSpace

DIGITS = SearchSpace.load("digits")
ARCH = DIGITS.sample(np.random.default_rng(3))
MODELS = resource_folder("models")
SMALL: dict[str, Any] = {"arch": ARCH, "structure": DIGITS.structure, "num_classes": 10}
# A small network, and one whose stem, stages and head are those of the papers: (name, arguments, side).
NETWORKS = [("attentive_nas", SMALL, 16), ("attentive_nas_a0", {}, 32)]
each_network = pytest.mark.parametrize(("name", "kwargs", "side"), NETWORKS, ids=[n[0] for n in NETWORKS])


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """timm initialises from torch's global generator: seed it, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _images(side: int, count: int = 2, chans: int = 3) -> Tensor:
    return torch.randn(count, chans, side, side, generator=torch.Generator().manual_seed(0))


def _small(**kwargs: Any) -> Any:
    return timm.create_model("attentive_nas", **(SMALL | kwargs))


def test_every_entry_of_the_shelf_is_registered() -> None:
    registered = timm.list_models(module="timm_models")
    assert sorted(registered) == sorted([*list_models(), *shelf_aliases(), "attentive_nas"])
    assert timm.list_models(module="timm_models", pretrained=True) == list_models(pretrained=True)


@pytest.mark.parametrize("name", ["digits_s", "attentive_nas_a6"])
def test_the_default_cfg_tells_the_truth(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    cfg, config = model.default_cfg, read_config(MODELS / name)
    assert cfg["architecture"] == name
    assert tuple(cfg["input_size"]) == (3, model.arch.resolution, model.arch.resolution)
    with torch.device("meta"):
        last = model.forward_features(torch.empty(1, *cfg["input_size"]))
    assert cfg["pool_size"] == last.shape[2:]
    assert isinstance(model.get_submodule(cfg["first_conv"]), nn.Conv2d)
    assert model.get_submodule(cfg["classifier"]) is model.get_classifier()
    assert model.classifier.out_features == model.num_classes == cfg["num_classes"] == config.num_classes
    assert cfg.get("label_names") == config.label_names
    assert model.arch == config.arch
    assert config.num_features == model.num_features


def test_without_an_architecture_it_says_what_to_type() -> None:
    with pytest.raises(SpaceError, match=r"needs an architecture: timm\.create_model.*attentive_nas_a0"):
        timm.create_model("attentive_nas")
    with pytest.raises(SpaceError, match="missing key 'width'"):
        timm.create_model("attentive_nas", arch={"resolution": 192})
    outside = SearchSpace.load("attentive_nas").smallest.to_dict() | {"resolution": 100}
    with pytest.raises(SpaceError, match="outside the space 'attentive_nas'"):
        timm.create_model("attentive_nas", arch=outside)


def test_weights_that_are_not_there() -> None:
    how = r"anas import attentive-nas CHECKPOINT --data DIR --entries DIR"
    for name in ("attentive_nas_a0", "alphanet_a0", f"local-dir:{MODELS / 'attentive_nas_a0'}"):
        with pytest.raises(NoWeightsError, match=rf"^attentive_nas_a0 has no weights.*cc-by-nc-4\.0.*{how}"):
            timm.create_model(name, pretrained=True)
    with pytest.raises(NoWeightsError, match="attentive_nas has no weights of its own; load"):
        _small(pretrained=True)


@pytest.mark.parametrize("name", list_models(pretrained=True))
@torch.no_grad()
def test_shelf_weights_give_their_golden_logits(name: str) -> None:
    golden = load_file(MODELS / name / "golden.safetensors")
    for model in (
        timm.create_model(name, pretrained=True),
        timm.create_model(f"local-dir:{MODELS / name}", pretrained=True),
    ):
        assert model.is_calibrated()
        torch.testing.assert_close(model.eval()(golden["images"]), golden["logits"], rtol=1e-4, atol=1e-4)
        assert model.pretrained_cfg["label_names"][3] == "3"
        data = timm.data.resolve_model_data_config(model)
        assert tuple(data["input_size"]) == (3, model.arch.resolution, model.arch.resolution)


@torch.no_grad()
def test_an_entry_with_another_input_and_without_weights() -> None:
    place, side = f"local-dir:{FIRST_FORMAT}", read_config(FIRST_FORMAT).arch.resolution
    plain = timm.create_model(place, pretrained=True).eval()
    gray = timm.create_model(place, pretrained=True, in_chans=1, num_classes=3)
    assert gray.eval()(_images(side, chans=1)).shape == (2, 3)
    assert torch.equal(gray.mix.weight, plain.mix.weight)
    assert not timm.create_model(place).is_calibrated()
    backbone = timm.create_model(place, pretrained=True, features_only=True).eval()
    _, maps = plain.forward_intermediates(_images(side))
    torch.testing.assert_close(backbone(_images(side))[-1], maps[-1])


@torch.no_grad()
def test_a_folder_that_timm_saved_is_loaded_but_says_nothing_of_calibration(tmp_path: Path) -> None:
    model = _small().eval()
    calibrate_bn(model, [_images(16, count=8)])
    args = {"arch": ARCH.to_dict(), "structure": DIGITS.structure.model_dump(mode="json")}
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True, model_args=args)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(_images(16)), model.eval()(_images(16)))
    assert not again.is_calibrated()


@each_network
@torch.no_grad()
def test_forward_and_its_parts(name: str, kwargs: dict[str, Any], side: int) -> None:
    model = timm.create_model(name, **kwargs).eval()
    images = _images(side)
    logits = model(images)
    assert logits.shape == (2, model.num_classes)
    assert torch.isfinite(logits).all()
    features = model.forward_features(images)
    assert features.shape[:2] == (2, model.num_features)
    torch.testing.assert_close(model.forward_head(features), logits)
    before = model.forward_head(features, pre_logits=True)
    assert before.shape == (2, model.head_hidden_size)
    torch.testing.assert_close(model.get_classifier()(before), logits)

    model.reset_classifier(0)
    torch.testing.assert_close(model(images), before)
    model.reset_classifier(7)
    assert model.num_classes == 7
    assert model(images).shape == (2, 7)
    model.reset_classifier(0, "")
    assert model(images).shape == (2, model.head_hidden_size, *features.shape[2:])


def test_every_parameter_receives_a_gradient() -> None:
    model = _small().train()
    model(_images(16, count=4)).mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@each_network
@torch.no_grad()
def test_feature_maps_are_as_announced(name: str, kwargs: dict[str, Any], side: int) -> None:
    backbone = timm.create_model(name, features_only=True, **kwargs).eval()
    maps, info = backbone(_images(side)), backbone.feature_info
    for feature, chs, reduction in zip(maps, info.channels(), info.reduction(), strict=True):
        assert feature.shape == (2, chs, -(-side // reduction), -(-side // reduction))
    assert info.reduction() == sorted(set(info.reduction()))
    chosen = timm.create_model(name, features_only=True, out_indices=(0, -1), **kwargs).eval()
    assert chosen.feature_info.reduction() == [info.reduction()[0], info.reduction()[-1]]


@torch.no_grad()
def test_intermediates_are_the_feature_maps() -> None:
    model = _small().eval()
    images = _images(16)
    final, maps = model.forward_intermediates(images)
    torch.testing.assert_close(final, model.forward_features(images))
    assert len(maps) == len(model.feature_info)
    for feature, info in zip(maps, model.feature_info, strict=True):
        assert feature.shape[1] == info["num_chs"]
        assert feature.shape[2] == -(-16 // info["reduction"])
    only = model.forward_intermediates(images, indices=1, intermediates_only=True, stop_early=True)
    torch.testing.assert_close(only[0], maps[-1])
    with pytest.raises(ValueError, match="only 'NCHW'"):
        model.forward_intermediates(images, output_fmt="NLC")
    backbone = _small(features_only=True, feature_cls="getter").eval()
    assert [m.shape for m in backbone(images)] == [m.shape for m in maps]
    kept = model.prune_intermediate_layers([0])
    assert kept == [0]
    torch.testing.assert_close(model.forward_intermediates(images, [0], intermediates_only=True)[0], maps[0])
    assert sum(p.numel() for p in model.parameters()) < sum(p.numel() for p in _small().parameters())


def test_gradient_checkpointing_changes_nothing() -> None:
    model = _small().train()
    images = _images(16, count=4)

    def step() -> tuple[Tensor, list[Tensor]]:
        model.zero_grad()
        logits = model(images)
        logits.square().mean().backward()
        return logits.detach(), [p.grad.clone() for p in model.parameters()]

    plain_logits, plain_grads = step()
    model.set_grad_checkpointing()
    assert model.grad_checkpointing
    logits, grads = step()
    torch.testing.assert_close(logits, plain_logits)
    for grad, plain in zip(grads, plain_grads, strict=True):
        torch.testing.assert_close(grad, plain)


@torch.no_grad()
def test_torch_script() -> None:
    model = _small(scriptable=True).eval()
    with warnings.catch_warnings():
        # torch announces the end of TorchScript on every use; while it is there, ours has to work.
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=FutureWarning)
        scripted = torch.jit.script(model)
    for side, count in ((16, 2), (13, 1)):
        torch.testing.assert_close(scripted(_images(side, count)), model(_images(side, count)))


@torch.no_grad()
def test_torch_export_with_a_dynamic_batch() -> None:
    model = _small(exportable=True).eval()
    shapes = {"x": {0: torch.export.Dim("batch", min=1, max=64)}}
    program = torch.export.export(model, (_images(16),), dynamic_shapes=shapes)
    for count in (1, 5):
        images = _images(16, count)
        torch.testing.assert_close(program.module()(images), model(images))


def test_arguments_reach_the_network() -> None:
    model = _small(in_chans=1, drop_rate=0.3, drop_path_rate=0.4, global_pool="max")
    assert model(_images(16, chans=1)).shape == (2, 10)
    assert model.drop_rate == 0.3
    assert model.global_pool.pool_type == "max"
    with torch.no_grad():
        assert _small(num_classes=0, global_pool="").eval()(_images(16)).ndim == 4
        assert _small(global_pool="catavgmax").eval()(_images(16)).shape == (2, 10)
    with pytest.raises(ValueError, match="give it when the model is created"):
        model.reset_classifier(5, "catavgmax")
    with pytest.raises(TypeError, match="'act_leyer'"):
        _small(act_leyer="relu")


def test_drop_path_acts_in_training_only() -> None:
    largest = {"arch": DIGITS.largest, "drop_path_rate": 0.9}
    model = _small(**largest)
    drops = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    assert drops == sorted(drops)
    assert 0 < len(drops) < sum(DIGITS.largest.depth)
    images = _images(16, count=4)
    with torch.no_grad():
        assert not torch.equal(model.train()(images), model(images))
        assert torch.equal(model.eval()(images), model(images))
