"""The first layer of a file that departs from torch is found, however the file is run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from catalog_entries import FIRST_FORMAT
from onnx import numpy_helper
from quantized_twice import round_twice
from torch import Tensor

from anas_zoo.core.errors import ExportError, ParityError
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target, export_onnx, validate_onnx
from anas_zoo.exporting.locate import first_departure, layer_gaps, with_departure
from anas_zoo.nets import Subnet
from anas_zoo.zoo import entry_folder, load_subnet

FLOAT, INT8 = Target.load("ort-cpu-fp32"), Target.load("ort-cpu-int8")


def network(folder: Path = FIRST_FORMAT) -> tuple[Subnet, Tensor]:
    return load_subnet(folder), torch.from_numpy(Entry(folder).golden.images)


def with_other_weight(source: Path, path: Path, weight: str) -> Path:
    """``source`` with one weight tensor made a tenth larger."""
    model = onnx.load(str(source))
    (tensor,) = (one for one in model.graph.initializer if one.name == weight)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.1), weight))
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("folder", [FIRST_FORMAT, entry_folder("digits_m")], ids=["inverted", "plain"])
def test_a_sound_file_departs_nowhere(folder: Path) -> None:
    subnet, images = network(folder)
    gaps = layer_gaps(folder / "model.onnx", subnet, images, target=FLOAT)
    layers = [name for name, _ in subnet.named_modules()]
    assert (gaps[0].layer, gaps[-1].layer) == ("stem", "classifier")
    assert {"stem", "classifier", "stages.1.0"} <= {gap.layer for gap in gaps} <= set(layers)
    assert max(max(gap.plain_pct, gap.optimized_pct) for gap in gaps) < 1e-3
    assert first_departure(gaps, "fp32") is None


@pytest.mark.parametrize("layer", ["stages.1.0.depthwise", "stages.2.0.project", "head", "classifier"])
def test_a_wrong_layer_is_named(layer: str, tmp_path: Path) -> None:
    subnet, images = network()
    weight = "classifier.weight" if layer == "classifier" else f"{layer}.conv.weight"
    file = with_other_weight(FIRST_FORMAT / "model.onnx", tmp_path / "m.onnx", weight)
    found = first_departure(layer_gaps(file, subnet, images, target=FLOAT), "fp32")
    assert found is not None
    assert found.layer == layer
    assert found.setting == "without graph optimizations"
    assert found.pct > 1
    with pytest.raises(ParityError) as caught:
        validate_onnx(file, subnet, images, None, target=FLOAT)
    said = str(with_departure(caught.value, file, subnet, images, FLOAT))
    assert said.startswith(str(caught.value))
    assert f"; layer by layer: {layer} departs by " in said


def test_what_optimizations_change_is_seen_where_they_change_it(tmp_path: Path) -> None:
    """As written the file rounds coarsely after that layer; optimized it does not."""
    subnet, images = network()
    file = round_twice(FIRST_FORMAT / "model.onnx", tmp_path / "m.onnx")
    gaps = layer_gaps(file, subnet, images, target=INT8)
    found = first_departure(gaps, "int8")
    assert found is not None
    assert found.setting == "without graph optimizations"
    at = [gap.layer for gap in gaps].index("stages.1.0.expand")
    assert gaps[at].plain_pct > 10 * gaps[at].optimized_pct


def test_quantized_layers_depart_by_rounding_alone(tmp_path: Path) -> None:
    for number, folder in enumerate((FIRST_FORMAT, entry_folder("digits_m"))):
        subnet, images = network(folder)
        random = torch.randn(128, *images.shape[1:], generator=torch.Generator().manual_seed(0))
        file, side = tmp_path / f"{number}.onnx", subnet.arch.resolution
        export_onnx(subnet, file, target=INT8, resolution=side, metadata={}, calibration_images=random)
        gaps = layer_gaps(file, subnet, images, target=INT8)
        assert 0.1 < max(gap.plain_pct for gap in gaps) < 30
        assert first_departure(gaps, "int8") is None
        assert first_departure(gaps, "fp32") is not None


def test_a_file_of_others_has_no_layers_to_compare(tmp_path: Path) -> None:
    subnet, images = network()
    model = onnx.load(str(FIRST_FORMAT / "model.onnx"))
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [name if name in ("image", "logits") else f"x{name}" for name in values]
    for tensor in model.graph.initializer:
        tensor.name = f"x{tensor.name}"
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ExportError, match="no names of layers"):
        layer_gaps(tmp_path / "m.onnx", subnet, images, target=FLOAT)
    error = ParityError("wrong")
    assert with_departure(error, tmp_path / "m.onnx", subnet, images, FLOAT) is error
