"""Pretrained weights in the cache of huggingface_hub, as timm leaves them there."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from anas_zoo.core.errors import AnasError
from anas_zoo.nets import load_supernet
from anas_zoo.pipeline import at_hand, whole_way
from anas_zoo.pipeline.at_hand import weights_at_hand
from anas_zoo.pipeline.init_supernet import open_supernet

NAME = "tinynet_e"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(at_hand, "OF_PHOTOGRAPHS", NAME)
    return folder


@pytest.fixture
def cached(cache: Path) -> timm.models.EfficientNet:
    """The network whose weights are there."""
    repository = timm.get_pretrained_cfg(NAME).hf_hub_id
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model(NAME)
    save_file(network.state_dict(), snapshot / "model.safetensors")
    return network


def write_images(folder: Path, side: int) -> Path:
    """Two classes of two squares each, of different colours."""
    for number in range(4):
        of_class = folder / f"class_{number % 2}"
        of_class.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (60 * number, 40, 90)).save(of_class / f"{number}.png")
    return folder


@pytest.mark.usefixtures("cache")
def test_without_weights_a_run_draws_its_own(tmp_path: Path) -> None:
    assert weights_at_hand(str(write_images(tmp_path, 96))) is None


@pytest.mark.usefixtures("cached")
def test_larger_images_start_from_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    small, large = (write_images(tmp_path / str(side), side) for side in (40, 64))
    assert weights_at_hand(str(small)) is None
    assert not caplog.messages
    assert weights_at_hand(str(large)) == f"timm/{NAME}"
    (said,) = caplog.messages
    assert f"timm's weights of {NAME} are on this machine: the run starts from them" in said
    assert f"anas_zoo.run(data={str(large)!r}, recipe='own_images'" in said


@pytest.mark.usefixtures("cached")
def test_a_run_in_a_space_that_is_named_draws_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, begun = write_images(tmp_path / "images", 64), []
    monkeypatch.setattr(whole_way, "run_stages", lambda _, recipe, *__, **___: begun.append(recipe))
    for number, own in enumerate((None, {"space": "small"}, ["seed=1", "space=small"])):
        whole_way.run(data=str(data), out=tmp_path / str(number), set_=own)
    assert [recipe.init for recipe in begun] == [f"timm/{NAME}", None, None]


def test_a_supernet_is_made_of_what_timm_has(cached: timm.models.EfficientNet) -> None:
    supernet = open_supernet(f"timm/{NAME}")
    assert supernet.config.weights.licence == "Apache-2.0"
    largest = load_supernet(supernet.folder).extract(supernet.space.largest).eval()
    images = torch.randn(2, 3, 106, 106)
    with torch.no_grad():
        difference = (largest(images) - cached.eval()(images)).abs().max()
    assert difference < 1e-4


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("name", "why"), [("nonesuch", "timm has no network"), (NAME, "could not get")])
def test_what_timm_does_not_have_is_named(name: str, why: str) -> None:
    with pytest.raises(AnasError, match=why):
        open_supernet(f"timm/{name}")
