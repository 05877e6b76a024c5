"""The JavaScript preprocessing gives what Pillow and the Python package give."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from javascript import run_cases
from PIL import Image
from pillow_version import with_pillow_13

from anas_zoo.core.geometry import crop_offset, resized_size
from anas_zoo.entry import Preprocessing
from anas_zoo.zoo.predict import preprocess

FILTERS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
SOURCES = ((1, 1), (1, 7), (8, 8), (13, 5), (31, 64), (100, 67), (255, 256))
TARGETS = ((1, 1), (3, 2), (8, 8), (12, 12), (50, 33), (224, 150))
RESOLUTIONS = (6, 12, 32, 192)

Pixels = npt.NDArray[np.uint8]


def image_of(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Noise over hard edges: overshoot, clipping at both ends and rounding all occur."""
    edges = 255 * rng.integers(0, 2, (height, width, 3))
    return np.where(rng.random((height, width, 1)) < 0.5, edges, rng.integers(0, 256, edges.shape)).astype(
        np.uint8
    )


def random_sides(rng: np.random.Generator) -> tuple[int, int]:
    width, height = rng.integers(1, 300, 2)
    return int(width), int(height)


@with_pillow_13
def test_resizing_is_pillows_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = [
        *itertools.product(SOURCES, TARGETS),
        *((random_sides(rng), random_sides(rng)) for _ in range(15)),
    ]
    images = [image_of(rng, *source) for source, _ in pairs]
    cases = [
        {"do": "resize", "image": index, "width": width, "height": height, "interpolation": name}
        for index, (_, (width, height)) in enumerate(pairs)
        for name in FILTERS
    ]
    different = []
    for case, result in zip(cases, run_cases(tmp_path, cases, images), strict=True):
        size = (case["width"], case["height"])
        filter_ = Image.Resampling[str(case["interpolation"]).upper()]
        want = np.asarray(Image.fromarray(images[int(str(case["image"]))]).resize(size, filter_))  # type: ignore[arg-type]
        got = np.fromfile(result["file"], np.uint8)
        if (result["width"], result["height"]) != size or not np.array_equal(got, want.ravel()):
            different.append(case)
    assert different == []


@with_pillow_13
def test_a_part_of_a_resized_image_is_what_pillow_has_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    images, cases, wanted = [], [], []
    for (width, height), name in itertools.product([(1500, 3), (2, 900), (64, 40), (40, 640)], FILTERS):
        images.append(image_of(rng, width, height))
        size = resized_size(width, height, 16)
        left, top = (crop_offset(length, 12) for length in size)
        window = {"left": left, "top": top, "width": 12, "height": 12}
        case = {"do": "resize", "image": len(images) - 1, "width": size[0], "height": size[1]}
        cases.append(case | {"interpolation": name, "window": window})
        whole = Image.fromarray(images[-1]).resize(size, Image.Resampling[name.upper()])
        wanted.append(whole.crop((left, top, left + 12, top + 12)))
    for case, result, want in zip(cases, run_cases(tmp_path, cases, images), wanted, strict=True):
        assert (result["width"], result["height"]) == (12, 12)
        assert np.fromfile(result["file"], np.uint8).tobytes() == want.tobytes(), case


def preprocessing_cases(rng: np.random.Generator, mode: str) -> tuple[list[Pixels], list[dict[str, Any]]]:
    images, cases = [], []
    ways = [(crop_pct, name) for crop_pct in (1.0, 0.875, 0.9) for name in FILTERS]
    if mode == "reference":  # which leaves neither open
        ways = [(0.875, "bilinear")] * 6
    for resolution, (crop_pct, name) in itertools.product(RESOLUTIONS, ways):
        images.append(image_of(rng, *random_sides(rng)))
        mean, std = rng.random(3).tolist(), (rng.random(3) + 0.1).tolist()
        info = {"mode": mode, "resolution": resolution, "interpolation": name, "crop_pct": crop_pct}
        info |= {"mean": mean, "std": std, "colour": "rgb"}
        cases.append({"do": "preprocess", "image": len(images) - 1, "info": info})
    return images, cases


@with_pillow_13
@pytest.mark.parametrize(("mode", "tolerance"), [("native", 0.0), ("reference", 2e-6)])
def test_the_networks_input_is_the_packages(mode: str, tolerance: float, tmp_path: Path) -> None:
    images, cases = preprocessing_cases(np.random.default_rng(1), mode)
    for case, result in zip(cases, run_cases(tmp_path, cases, images), strict=True):
        info = dict(case["info"])
        resolution = info.pop("resolution")
        want = preprocess(Image.fromarray(images[case["image"]]), Preprocessing(**info), resolution)
        got = np.fromfile(result["file"], np.float32).reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance, err_msg=str(case))
