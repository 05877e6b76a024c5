"""The uint8 input against what it replaces: Pillow and timm's evaluation transform."""

from __future__ import annotations

import resource
from functools import cache
from typing import Any

import exported_digits as digits
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image
from pillow_version import with_pillow_13
from sklearn.datasets import load_sample_image
from timm.data import create_transform

from anas_zoo.core.errors import ExportError
from anas_zoo.core.geometry import Interpolation
from anas_zoo.data import DigitsSource, eval_transform
from anas_zoo.data.glyphs import GlyphsSource
from anas_zoo.entry import Preprocessing
from anas_zoo.exporting.image_input import with_image_input

Array = npt.NDArray[Any]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NATIVE = Preprocessing(mean=MEAN, std=STD)
REFERENCE = NATIVE.in_mode("reference")
OPSETS = [17, 22]
# Wide, high, square, very high (where Pillow turns its passes round), tiny, of one line, of the very size.
SIZES = [(640, 427), (333, 500), (300, 300), (130, 400), (9, 5), (5, 9), (1, 40), (40, 1), (256, 256)]
# Grey levels of 255. Without a second resize there is no difference at all; torch rounds that one in float32.
SECOND_RESIZE = 2e-3


@cache
def photo() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg"))


def pass_through(side: int, opset: int, batch: str | int = "batch") -> onnx.ModelProto:
    """A network whose output is its input."""
    shape = [batch, 3, side, side]
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "logits")
    )
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["logits"])], "g", [image], [logits])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def session(model: onnx.ModelProto) -> Any:
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run(running: Any, *images: Image.Image) -> Array:
    batch = np.stack([np.asarray(image) for image in images])
    outputs: list[Array] = running.run(["logits"], {"image": batch})
    return outputs[0]


def grey_levels(got: Array, want: Array) -> Array:
    """How far normalised images are apart, before normalisation in grey levels of 255."""
    levels: Array = np.abs(got - want) * np.reshape(STD, (3, 1, 1)) * 255
    return levels


@with_pillow_13
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("preprocessing", "side"),
    [
        (NATIVE, 64),
        (NATIVE, 224),
        (Preprocessing(interpolation="bilinear", crop_pct=1.0, mean=MEAN, std=STD), 14),
        (REFERENCE, 96),
        (REFERENCE, 224),
        (REFERENCE, 288),
    ],
    ids=lambda value: getattr(value, "mode", value),
)
def test_a_photo_is_prepared_as_timm_does(preprocessing: Preprocessing, side: int, opset: int) -> None:
    running = session(with_image_input(pass_through(side, opset), preprocessing, side))
    transform = eval_transform(preprocessing, side)
    for size in SIZES:
        image = photo().resize(size)
        got, want = run(running, image)[0], transform(image).numpy()
        assert got.shape == want.shape == (3, side, side)
        if preprocessing.mode == "reference" and side != 224:
            assert grey_levels(got, want).max() < SECOND_RESIZE, size
        else:
            assert np.array_equal(got, want), size


@with_pillow_13
@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    side=st.integers(1, 40),
    crop_pct=st.floats(0.3, 1.0),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 9),
)
def test_noise_of_any_size_is_prepared_as_timm_does(
    width: int, height: int, side: int, crop_pct: float, interpolation: Interpolation, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    preprocessing = Preprocessing(interpolation=interpolation, crop_pct=crop_pct, mean=MEAN, std=STD)
    running = session(with_image_input(pass_through(side, 17), preprocessing, side))
    want = eval_transform(preprocessing, side)(Image.fromarray(noise)).numpy()
    assert np.array_equal(run(running, Image.fromarray(noise))[0], want)


@with_pillow_13
@settings(max_examples=40, deadline=None)
@given(
    narrow=st.integers(1, 9),
    times=st.integers(101, 300),
    wide=st.booleans(),
    side=st.integers(1, 40),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
def test_a_strip_is_prepared_as_timm_does_within_a_grey_level(
    narrow: int, times: int, wide: bool, side: int, interpolation: Interpolation
) -> None:
    """Pillow cuts its middle out first; here, what Pillow makes of all of it comes out to the bit."""
    size = (narrow, narrow * times + 1) if wide else (narrow * times + 1, narrow)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image, preprocessing = (
        Image.fromarray(noise),
        Preprocessing(interpolation=interpolation, mean=MEAN, std=STD),
    )
    got = run(session(with_image_input(pass_through(side, 17), preprocessing, side)), image)[0]
    assert grey_levels(got, eval_transform(preprocessing, side)(image).numpy()).max() < 1.001
    timms = create_transform((3, side, side), crop_pct=0.875, interpolation=interpolation, mean=MEAN, std=STD)
    assert np.array_equal(got, timms(image).numpy())


@pytest.mark.parametrize("shape", [(1, 1, 400_000, 3), (1, 400_000, 1, 3)])
def test_memory_does_not_grow_with_the_length_of_an_image(shape: tuple[int, ...]) -> None:
    running = session(with_image_input(pass_through(224, 17), NATIVE, 224))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    running.run(["logits"], {"image": np.zeros(shape, np.uint8)})
    # A row of weights for each pixel of the result, over the whole length, has 700 MB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


@pytest.mark.parametrize("size", [(60, 45), (45, 170)])
def test_a_batch_is_its_images(size: tuple[int, int]) -> None:
    running = session(with_image_input(pass_through(32, 17), NATIVE, 32))
    images = [photo().resize(size), photo().transpose(Image.Transpose.ROTATE_180).resize(size)]
    together = run(running, *images)
    assert np.array_equal(together, np.concatenate([run(running, image) for image in images]))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("source", [DigitsSource(), GlyphsSource(train_per_class=1, test_per_class=1)])
def test_logits_of_a_real_network_stay_what_they_were(source: Any) -> None:
    network = digits.proto()
    own = source.preprocessing
    plain, prepared = session(network), session(with_image_input(network, own, digits.SIDE))
    images = [source.image(index) for index in range(20)]
    for image in images:
        want = plain.run(["logits"], {"image": eval_transform(own, digits.SIDE)(image).numpy()[None]})[0]
        # The same pixels; around the network, onnxruntime may fuse its operators in another way.
        np.testing.assert_allclose(run(prepared, image), want, rtol=0, atol=1e-5)


def test_the_file_says_what_it_takes() -> None:
    network = digits.proto()
    before = network.SerializeToString(deterministic=True)
    model = with_image_input(network, REFERENCE, digits.SIDE)
    assert network.SerializeToString(deterministic=True) == before
    again = with_image_input(network, REFERENCE, digits.SIDE)
    assert model.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    (image,), (logits,) = session(model).get_inputs(), session(model).get_outputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape == ["batch", "height", "width", 3]
    assert (logits.name, logits.shape) == ("logits", ["batch", 10])
    assert list(model.opset_import) == list(network.opset_import)
    assert list(model.metadata_props) == list(network.metadata_props)
    assert {node.domain for node in model.graph.node} == {""}
    # Preparation is some kilobytes of nodes, and in the mode reference a matrix of a row for each pixel.
    native = with_image_input(network, NATIVE, digits.SIDE)
    assert len(native.SerializeToString()) - len(before) < 20_000
    assert sum(len(weight.raw_data) for weight in native.graph.initializer) - sum(
        len(weight.raw_data) for weight in network.graph.initializer
    ) < 500  # fmt: skip
    assert len(model.SerializeToString()) - len(before) < 30_000 + 4 * 224 * digits.SIDE


@pytest.mark.parametrize("interpolation", ["nearest", "box", "hamming", "lanczos"])
def test_other_filters_are_refused(interpolation: Interpolation) -> None:
    with pytest.raises(ExportError, match=f"{interpolation!r}.*it can with: bilinear, bicubic"):
        with_image_input(pass_through(8, 18), Preprocessing(interpolation=interpolation), 8)
