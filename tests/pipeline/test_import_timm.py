"""``anas import timm``: a supernet's folder that loads, and nothing where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from real_weights import LICENCE, NETWORK, write_real_weights
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from timm.data import ImageNetInfo

from anas_zoo.core.errors import AnasError
from anas_zoo.data import eval_transform
from anas_zoo.entry import SupernetFolder
from anas_zoo.nets import load_supernet
from anas_zoo.pipeline.import_timm import import_timm
from anas_zoo.pipeline.import_timm_supernet import preprocessing_of

NAME = "tinynet_e"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(timm.create_model(NAME).state_dict(), path)
    return path


def test_a_supernet_is_written_that_loads(checkpoint: Path, tmp_path: Path) -> None:
    made = import_timm(NAME, checkpoint=checkpoint, out=tmp_path / "net", licence="Apache-2.0")
    supernet = load_supernet(tmp_path / "net")
    assert supernet.space.name == NAME
    assert supernet.num_classes == 1000
    config = SupernetFolder(made.folder).config
    assert config.label_names is not None
    assert config.label_names[0] == "n01440764"
    assert config.weights.licence == "Apache-2.0"
    assert [ancestor.name for ancestor in config.weights.lineage] == [f"timm/{NAME}"]
    assert config.preprocessing == preprocessing_of(timm.get_pretrained_cfg(NAME).to_dict())
    assert config.trained["imported"] == {
        "kind": "timm",
        "file": "weights.safetensors",
        "published_as": None,
        "tensors": made.coverage.counts(),
        "network": NAME,
        "largest_difference_from_timm": made.difference,
    }


def test_a_file_has_no_licence_until_one_is_given(checkpoint: Path, tmp_path: Path) -> None:
    made = import_timm(NAME, checkpoint=checkpoint, out=tmp_path / "net", resolution=96)
    config = SupernetFolder(made.folder).config
    assert config.weights.licence is None
    assert config.weights.lineage == ()
    assert config.search_space().config.resolution == (96,)


def test_nothing_is_written_where_it_cannot_be(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "net"
    for name, options in (
        ("resnet18", {}),
        ("tinynet_d", {"checkpoint": checkpoint}),
        (NAME, {"checkpoint": tmp_path / "missing.pth"}),
        (NAME, {"checkpoint": checkpoint, "resolution": 100_000}),
    ):
        with pytest.raises(AnasError):
            import_timm(name, out=out, **options)
        assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with pytest.raises(AnasError, match="already holds 1 item"):
        import_timm(NAME, checkpoint=checkpoint, out=out)


@pytest.mark.slow
def test_real_weights_know_a_palace_and_a_daisy(tmp_path: Path) -> None:
    write_real_weights(tmp_path / "weights.safetensors")
    import_timm(NETWORK, checkpoint=tmp_path / "weights.safetensors", out=tmp_path / "net", licence=LICENCE)
    config = SupernetFolder(tmp_path / "net").config
    supernet = load_supernet(tmp_path / "net")
    subnet = supernet.extract(supernet.space.largest)
    view = eval_transform(config.preprocessing, supernet.space.largest.resolution)
    images = torch.stack([view(Image.fromarray(image)) for image in load_sample_images().images])
    with torch.no_grad():
        found = subnet(images).argmax(1).tolist()
    assert config.label_names is not None
    words = [ImageNetInfo().index_to_description(index) for index in found]
    assert words == ["palace", "daisy"]
    assert [config.label_names[index] for index in found] == ["n03877845", "n11939491"]
