"""How closely every way of preparing an image follows timm's transform, and what the uint8 input costs.

    python benchmarks/preprocessing_error.py [--out benchmarks/results]

Pixels are compared before normalisation, in grey levels of 255: two photographs in ten sizes each, and noise
of 200 sizes. Logits are those of the shelf's digit models on all digits. Times are medians of calls in turn,
one thread, one image.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper
from PIL import Image
from shared import RESULTS, options, session_of, write
from sklearn.datasets import load_sample_image

from anas_zoo.core.geometry import Mode
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import DigitsSource, eval_transform
from anas_zoo.entry import IMAGENET, Entry, Preprocessing
from anas_zoo.exporting import Target, export_onnx
from anas_zoo.exporting.image_input import with_image_input
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.profiling.machine import describe_machine
from anas_zoo.zoo import entry_folder
from anas_zoo.zoo.predict import preprocess

Array = npt.NDArray[Any]
Prepare = Callable[[Image.Image], Array]

OPSETS = (17, 25)
MODES: tuple[Mode, ...] = ("native", "reference")
SIZES = [(640, 427), (427, 640), (333, 271), (224, 224), (1200, 2700), (2700, 1200), (50, 40), (8, 8)]
SIZES += [(219, 300), (1500, 1100)]
CASES: list[tuple[str, Preprocessing, int]] = [
    ("native, bicubic, 0.875", IMAGENET, 192),
    ("native, bicubic, 0.875", IMAGENET, 288),
    ("native, bilinear, 1", Preprocessing(interpolation="bilinear", crop_pct=1.0), 14),
    ("reference", IMAGENET.in_mode("reference"), 192),
    ("reference", IMAGENET.in_mode("reference"), 224),
    ("reference", IMAGENET.in_mode("reference"), 288),
]


def photos() -> Iterator[Image.Image]:
    for name in ("china.jpg", "flower.jpg"):
        photo = Image.fromarray(load_sample_image(name))
        yield from (photo.resize(size) for size in SIZES)


def noise() -> Iterator[Image.Image]:
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 400, 2)
        yield Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def session(model: Any) -> Any:
    return session_of(model if isinstance(model, bytes) else model.SerializeToString())


def run(running: Any, pixels: Array) -> Array:
    logits: Array = running.run(["logits"], {"image": pixels})[0]
    return logits


def of_bytes(running: Any) -> Prepare:
    return lambda image: run(running, np.asarray(image)[None])[0]


def pass_through(side: int, opset: int) -> onnx.ModelProto:
    """A network whose output is its input."""
    image, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, side, side])
        for name in ("image", "logits")
    )
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["logits"])], "g", [image], [logits])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ways(preprocessing: Preprocessing, side: int) -> Iterator[tuple[str, Prepare]]:
    """What is compared with timm's transform."""
    yield "numpy and Pillow", lambda image: preprocess(image, preprocessing, side)
    for opset in OPSETS:
        model = with_image_input(pass_through(side, opset), preprocessing, side)
        yield f"uint8 input, opset {opset}", of_bytes(session(model))


def pixel_errors() -> Iterator[list[str]]:
    for case, preprocessing, side in CASES:
        std = np.reshape(preprocessing.std, (3, 1, 1))
        for images, what in ((list(photos()), "photos"), (list(noise()), "noise")):
            want = np.stack([eval_transform(preprocessing, side)(image).numpy() for image in images])
            for way, prepare in ways(preprocessing, side):
                levels = np.abs(np.stack([prepare(image) for image in images]) - want) * std * 255
                beyond = 1e6 * float((levels > 1.001).mean())
                figures = [f"{levels.max():.1e}", f"{levels.mean():.1e}", f"{beyond:g}"]
                yield [way, case, str(side), what, *figures]


def logit_errors() -> Iterator[list[str]]:
    source = DigitsSource()
    images = [source.image(index) for index in range(len(source.labels))]
    for name in ("digits_s", "digits_m", "digits_l"):
        entry = Entry.read(entry_folder(name))
        own, side = entry.config.anas.preprocessing, entry.config.arch.resolution
        model, transform = onnx.load(entry.folder / "model.onnx"), eval_transform(own, side)
        want = run(session(model), np.stack([transform(image).numpy() for image in images]))
        raw = np.stack([np.asarray(image) for image in images])
        got = run(session(with_image_input(model, own, side)), raw)
        difference = np.abs(want - got)
        figures = [f"{np.ptp(want):.1f}", f"{difference.max():.1e}", f"{difference.mean():.1e}"]
        figures += [f"{100 * (want.argmax(1) == got.argmax(1)).mean():.2f} %"]
        figures += [f"{100 * (logits.argmax(1) == source.labels).mean():.2f} %" for logits in (want, got)]
        yield [name, str(len(images)), *figures]


def exported(name: str) -> tuple[bytes, Preprocessing, int]:
    """The file of a shelf's entry, or one with random weights where the shelf has none."""
    entry = Entry.read(entry_folder(name))
    own, side = entry.config.anas.preprocessing, entry.config.arch.resolution
    if entry.report.files:
        return (entry.folder / "model.onnx").read_bytes(), own, side
    subnet = Subnet(entry.config.arch, entry.config.structure, num_classes=1000)
    calibrate_bn(subnet, [torch.randn(8, 3, side, side)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        target = Target.load("ort-cpu-fp32")
        export_onnx(subnet, path, target=target, resolution=side, metadata={})
        return path.read_bytes(), own, side


def times(rounds: int) -> Iterator[list[str]]:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    for name, sizes in (
        ("digits_s", [(8, 8), (640, 427)]),
        ("attentive_nas_a0", [(640, 427), (4000, 3000)]),
    ):
        content, info, side = exported(name)
        for size in sizes:
            for mode in MODES:
                taken = _times(content, info.in_mode(mode), side, photo.resize(size), rounds)
                figures = [*(f"{value:.2f}" for value in taken), f"{taken[2] / taken[0]:.2f}"]
                yield [name, f"{size[0]} × {size[1]}", mode, *figures]


def _times(content: bytes, own: Preprocessing, side: int, image: Image.Image, rounds: int) -> list[float]:
    """Milliseconds of the network, of its uint8 file, of that input alone, and without ONNX."""
    network = session(content)
    whole = session(with_image_input(onnx.load_from_string(content), own, side))
    alone = session(with_image_input(pass_through(side, OPSETS[0]), own, side))
    pixels, inputs = np.asarray(image)[None], preprocess(image, own, side)[None]
    return _medians(
        [
            lambda: run(network, inputs),
            lambda: run(whole, pixels),
            lambda: run(alone, pixels),
            lambda: preprocess(image, own, side),
        ],
        rounds,
    )


def _medians(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Milliseconds of each call, in turn, after a warm-up."""
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 2):
        for call, kept in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            if number >= 2:
                kept.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(kept) for kept in taken]


def report(rounds: int) -> str:
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("onnxruntime", "pillow", "timm", "torch")
    )
    pixels = "way | mode | R | images | largest | mean | over 1, per million"
    logits = (
        "model | images | range of logits | largest difference | mean | top-1 agrees | top-1 (timm) | "
        "top-1 (uint8)"
    )
    costs = (
        "model | image | mode | network ms | uint8 file ms | its preparation ms | "
        "numpy and Pillow ms | preparation / network"
    )
    sections = [
        "## Pixels against timm's transform, in grey levels of 255",
        markdown_table(pixels.split(" | "), pixel_errors()),
        "## Logits, uint8 input against timm's transform",
        markdown_table(logits.split(" | "), logit_errors()),
        "## Time, one image, one thread",
        markdown_table(costs.split(" | "), times(rounds)),
    ]
    return f"{versions}.\n\n" + "\n\n".join(sections)


def main() -> None:
    parser = options(__doc__, out=RESULTS)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    made = f"Made by `python benchmarks/preprocessing_error.py` on {describe_machine()}."
    write(
        args.out / "preprocessing_error.md",
        ["# How equal preparations are", "", f"{made} {report(args.rounds)}"],
    )


if __name__ == "__main__":
    main()
