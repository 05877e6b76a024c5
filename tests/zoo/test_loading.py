from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from anas_zoo.core.errors import CheckpointError, EntryError, NotOnShelfError, NoWeightsError
from anas_zoo.core.resources import shelf_aliases
from anas_zoo.entry import Entry, read_config, read_report
from anas_zoo.nets import Subnet
from anas_zoo.zoo import build_config, create_model, entry_folder, list_models, load_subnet, write_draft
from anas_zoo.zoo.predict import run_onnx
from anas_zoo.zoo.published import load_published
from anas_zoo.zoo.shelf import locate, resolve

pytest_plugins = ["zoo_fixtures"]


def golden_of(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    golden = Entry(folder).golden
    return torch.from_numpy(golden.images), torch.from_numpy(golden.logits)


def test_every_way_of_loading_gives_the_same_logits(published: Path) -> None:
    images, golden = golden_of(published)
    ways = {
        "timm": timm.create_model(f"local-dir:{published}", pretrained=True),
        "folder": create_model(str(published), pretrained=True),
        "path": create_model(published, pretrained=True),
        "local-dir": create_model(f"local-dir:{published}", pretrained=True),
        "subnet": load_subnet(published),
    }
    for way, model in ways.items():
        assert isinstance(model, Subnet), way
        assert model.is_calibrated(), way
        with torch.no_grad():
            assert torch.equal(model.eval()(images), golden), way
    np.testing.assert_allclose(run_onnx(published / "model.onnx", images.numpy()), golden, atol=1e-4)


A0 = entry_folder("attentive_nas_a0")


@pytest.mark.parametrize(
    "name",
    [
        "alphanet_a0",
        "2da0ac9b74d9",
        "smallest of attentive_nas",
        str(A0),
        f"local-dir:{A0}",
    ],
)
def test_names_mean_the_same_in_python_and_on_the_command_line(name: str) -> None:
    assert resolve(name) == locate(name) == A0
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, Subnet)
    assert model.arch == read_config(A0).arch


def test_aliases_are_the_names_of_the_second_paper() -> None:
    twice = [model.name for model in load_published().models if len(model.top1_pct) == 2]
    assert shelf_aliases() == {f"alphanet_{name.rpartition('_')[2]}": name for name in twice}
    assert not shelf_aliases().keys() & set(list_models())


@pytest.mark.parametrize(
    ("name", "nearest"), [("alphanet-a0", "alphanet_a0"), ("digit_s", "digits_s"), ("", "")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    said = f"no model named {name!r} on the shelf" + (
        f" (did you mean {nearest!r}?)" if nearest else "; its "
    )
    for look_up in (create_model, locate, entry_folder):
        with pytest.raises(NotOnShelfError) as caught:
            look_up(name)
        assert str(caught.value).startswith(said)


def test_a_folder_is_found_before_another_name(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published, tmp_path / "alphanet_a0")
    monkeypatch.chdir(tmp_path)
    assert resolve("alphanet_a0") == locate("alphanet_a0") == Path("alphanet_a0")


def test_the_config_serves_timm(published: Path) -> None:
    model = create_model(published, pretrained=True)
    cfg = timm.data.resolve_model_data_config(model)
    side = read_config(published).arch.resolution
    assert list(cfg["input_size"]) == [3, side, side]
    assert (cfg["interpolation"], cfg["crop_pct"], list(cfg["mean"])) == ("bilinear", 1.0, [0.5] * 3)
    assert isinstance(model, Subnet)
    assert model.num_features == read_config(published).num_features
    pretrained_cfg: Any = model.pretrained_cfg  # timm's builder puts it there
    assert list(pretrained_cfg["label_names"]) == [f"digit {i}" for i in range(10)]


def test_a_new_head_keeps_the_rest(published: Path) -> None:
    images, _ = golden_of(published)
    model = create_model(published, pretrained=True, num_classes=3).eval()
    assert isinstance(model, Subnet)
    whole = load_subnet(published)
    with torch.no_grad():
        assert model(images).shape == (4, 3)
        assert torch.equal(model.forward_features(images), whole.forward_features(images))


def test_without_pretrained_the_weights_are_fresh(published: Path) -> None:
    model = create_model(published)
    assert isinstance(model, Subnet)
    assert not model.is_calibrated()
    name = "classifier.weight"
    assert not torch.equal(model.get_parameter(name), load_subnet(published).get_parameter(name))


def test_the_generic_entry_point() -> None:
    arch = read_config(entry_folder("attentive_nas_a0")).anas.arch
    with torch.device("meta"):
        model = create_model("attentive_nas", arch=arch, num_classes=7)
    assert model.num_classes == 7


def test_weights_that_are_not_distributed() -> None:
    how = "anas import attentive-nas CHECKPOINT --data DIR --entries DIR"
    with pytest.raises(NoWeightsError, match=rf"^attentive_nas_a0 .*cc-by-nc-4\.0.*{how}"):
        create_model("attentive_nas_a0", pretrained=True)


def test_listing_by_pattern_and_by_weights() -> None:
    every = list_models()
    assert every == sorted(every)
    assert {"attentive_nas_a0", "alphanet_a5_small"} <= set(every)
    assert list_models("alphanet_*") == ["alphanet_a5_base", "alphanet_a5_small"]
    assert list_models(["*_a6", "digits_s"]) == ["attentive_nas_a6", "digits_s"]
    assert list_models("nothing*") == []
    with_weights = list_models(pretrained=True)
    assert with_weights == [name for name in every if (entry_folder(name) / "model.safetensors").is_file()]
    assert list_models("attentive*", pretrained=True) == []
    assert 0 < len(with_weights) < len(every)


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        NotOnShelfError, match=r"'attentive_nas_a9'.*did you mean 'attentive_nas_a.*its \d+ names: anas list"
    ):
        create_model("attentive_nas_a9")
    with pytest.raises(NotOnShelfError):
        entry_folder("../models")
    with pytest.raises(EntryError, match="no such folder"):
        create_model(tmp_path / "nothing")
    with pytest.raises(EntryError, match=r"config\.json: no such file"):
        create_model(tmp_path)


@pytest.mark.parametrize("kept", [7, 20000])
def test_truncated_weights(entry: Path, kept: int) -> None:
    path = entry / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated or no") as caught:
        create_model(entry, pretrained=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: truncated or no"):
        load_subnet(entry)


def test_tensors_that_do_not_fit_are_named(entry: Path) -> None:
    tensors = load_file(entry / "model.safetensors")
    del tensors["stem.conv.weight"]
    tensors["stranger"] = torch.zeros(2)
    tensors["classifier.bias"] = torch.zeros(4)
    save_file(tensors, entry / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        create_model(entry, pretrained=True)
    for part in (
        "stem.conv.weight is missing instead of F32 (",
        "stranger F32 (2,) instead of nothing",
        "classifier.bias F32 (4,) instead of F32 (10,)",
    ):
        assert part in str(caught.value)


def test_altered_weights_are_not_loaded(entry: Path) -> None:
    tensors = load_file(entry / "model.safetensors")
    tensors["classifier.bias"] += 1
    save_file(tensors, entry / "model.safetensors", {"format": "pt"})
    with pytest.raises(EntryError, match=r"model\.safetensors.*SHA-256 differs"):
        create_model(entry, pretrained=True)


def test_weights_that_went_missing(entry: Path) -> None:
    (entry / "model.safetensors").unlink()  # golden.safetensors is left, which timm alone would load
    with pytest.raises(EntryError, match=r"lacks model\.safetensors"):
        create_model(entry, pretrained=True)


def test_a_draft_is_of_the_network_it_says(pristine_draft: Path, tmp_path: Path) -> None:
    from anas_zoo.space import SearchSpace

    subnet, config = load_subnet(pristine_draft), read_config(pristine_draft)
    report = read_report(pristine_draft)
    images, _ = golden_of(pristine_draft)
    with pytest.raises(EntryError, match="golden images are"):
        write_draft(tmp_path / "out", subnet, config, report, images[:, :, 1:])
    with torch.no_grad():
        subnet.get_parameter("classifier.bias").add_(1)
    with pytest.raises(EntryError, match="network changed"):
        write_draft(tmp_path / "out", subnet, config, report, images)
    assert not (tmp_path / "out").exists()
    space = SearchSpace.load("digits")
    with pytest.raises(EntryError, match="2 label_names for 10 classes"):
        build_config(subnet, name="x", space=space, licence="MIT", source="a test", label_names=["a", "b"])


def test_the_same_network_gives_the_same_files(pristine_draft: Path, tmp_path: Path) -> None:
    config = read_config(pristine_draft)
    images, _ = golden_of(pristine_draft)
    write_draft(tmp_path / "again", load_subnet(pristine_draft), config, read_report(pristine_draft), images)
    for name in ("config.json", "model.safetensors", "golden.safetensors", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == (pristine_draft / name).read_bytes(), name


def test_config_mistakes_name_the_key(entry: Path) -> None:
    path = entry / "config.json"
    good = json.loads(path.read_text())
    cases = {
        r"unknown key 'pretrained_cfg.crop_pc' \(did you mean 'crop_pct'\?\)": {
            "pretrained_cfg": good["pretrained_cfg"] | {"crop_pc": 1.0}
        },
        "unknown key 'num_clases'": {"num_clases": 3},
        "num_classes and pretrained_cfg.num_classes differ": {"num_classes": 9, "label_names": ["a"] * 9},
        "arch_id and the architecture's id differ": {"anas": good["anas"] | {"arch_id": "abc"}},
        "unknown key 'widht'": {
            "model_args": good["model_args"] | {"arch": good["model_args"]["arch"] | {"widht": [1]}}
        },
        "anas.format": {"anas": good["anas"] | {"format": 3}},
    }
    for message, change in cases.items():
        path.write_text(json.dumps(good | change))
        with pytest.raises(EntryError, match=message) as caught:
            create_model(entry)
        assert "\n" not in str(caught.value)
