"""What int8 gains: files for onnxruntime, LiteRT and OpenVINO, in float32 and in int8, of the same networks.

    python benchmarks/int8_speed.py --out runs/int8 [--runs runs/mine ...]

The networks are `characters_s`, `characters_m` and `characters_l` of the shelf, on glyphs, and the drafts of
the runs and fine-tunings that are given, on their test splits. Ranges come from 512 training images. Every
file is written as `anas export` writes it with nothing in float but what its target keeps so; no gate stops
one here, so that what it costs is seen. One image on one thread is timed, the files for a runtime in turn,
runtime after runtime and again: between single calls of OpenVINO, those of others took up to twice as long
on small networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from shared import RESULTS, machine_in_words, options, write
from torch import Tensor

from anas_zoo.core.intervals import with_interval
from anas_zoo.core.progress import stage
from anas_zoo.core.tables import markdown_table
from anas_zoo.data import ImagesAt, balanced_choice, open_source, with_preprocessing
from anas_zoo.data.chosen_images import CALIBRATION
from anas_zoo.entry import Entry
from anas_zoo.exporting import Target
from anas_zoo.exporting.onnx_export import convert
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.nets import Subnet
from anas_zoo.pipeline import Run
from anas_zoo.pipeline.run import FinetuneRun
from anas_zoo.pipeline.run_folder import kind_of_run
from anas_zoo.profiling.timing import interleave
from anas_zoo.zoo import load_subnet
from anas_zoo.zoo.shelf import locate

SHELF = ("characters_s", "characters_m", "characters_l")
FLOATS = ["ort-cpu-fp32", "litert-fp32", "openvino-fp32"]  # one of each runtime
TARGETS = [*FLOATS, "ort-cpu-int8", "ort-vnni-int8", "openvino-int8", "litert-int8"]
CALIBRATION_IMAGES = 512
ROUNDS, PASSES, WARMUP = 300, 10, 20  # calls of each file, in so many parts, each after some others


@dataclass(frozen=True)
class Network:
    """One network, with the images that it is measured on and those that ranges come from."""

    name: str
    subnet: Subnet
    test: Tensor
    labels: Tensor
    calibration: Tensor


@dataclass(frozen=True)
class Measured:
    """One file: its test top-1, its median milliseconds and its size."""

    top1_pct: float
    ms: float
    size_bytes: int


def of_shelf(name: str) -> Network:
    """A model of characters on glyphs: the test fonts, and some of the training images."""
    entry = Entry.read(locate(name))
    source = with_preprocessing(open_source("glyphs"), entry.config.anas.preprocessing)
    side, test = entry.config.arch.resolution, source.test_indices
    assert test is not None
    train = sorted(set(range(len(source.labels))) - set(test.tolist()))
    chosen = balanced_choice(train, source.labels, CALIBRATION_IMAGES, [0, CALIBRATION])
    images = ImagesAt(source, test.tolist())
    return Network(name, load_subnet(entry), images(side), images.labels, ImagesAt(source, chosen)(side))


def of_run(folder: Path) -> list[Network]:
    """The drafts of a run or a fine-tuning, on its own parts."""
    run = opened(folder)
    chosen = balanced_choice(run.split.train, run.source.labels, CALIBRATION_IMAGES, [0, CALIBRATION])
    found = []
    for name, draft in run.drafts().items():
        entry = Entry.read(draft)
        source = with_preprocessing(run.source, entry.config.anas.preprocessing)
        side, images = entry.config.arch.resolution, ImagesAt(source, run.split.test)
        calibration = ImagesAt.readable(source, chosen, side)
        found.append(Network(name, load_subnet(entry), images(side), images.labels, calibration(side)))
    return found


def opened(folder: Path) -> Run | FinetuneRun:
    """The run or the fine-tuning in ``folder``."""
    return FinetuneRun.open(folder) if kind_of_run(folder) == "finetune" else Run.open(folder)


def about_run(folder: Path) -> str:
    """Which networks are those of a run or a fine-tuning, in a sentence."""
    run = opened(folder)
    drafts = list(run.drafts())
    if isinstance(run, FinetuneRun):
        return f"{drafts[0]} is {run.origin.name}, fine-tuned {run.recipe.simplification}."
    start = "" if run.init is None else f", from the weights of {run.init.name}"
    return f"{drafts[0]} to {drafts[-1]} are of a run on {run.source.title}{start}."


def measure(network: Network, folder: Path) -> dict[str, Measured]:
    """Every target's file of ``network``."""
    stage(f"export and measure {network.name}")
    side, pixels = network.subnet.arch.resolution, network.test.numpy()
    calls: dict[str, Callable[[], object]] = {}
    top1: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for name in TARGETS:
        target = Target.load(name)
        content = convert(
            network.subnet,
            target=target,
            resolution=side,
            metadata={},
            calibration_images=network.calibration,
        )
        file = folder / f"{network.name}.{name}{target.suffix}"
        file.write_bytes(content)
        every, one = (open_runner(file, target) for _ in range(2))
        assert not isinstance(every, str), every
        assert not isinstance(one, str)
        parts = [every.run(part) for part in np.array_split(pixels, len(pixels) // 64 + 1)]
        logits = torch.from_numpy(np.concatenate(parts))
        top1[name] = 100.0 * float((logits.argmax(1) == network.labels).double().mean())
        sizes[name] = len(content)
        calls[name] = partial(one.run, pixels[:1])
    times: dict[str, list[float]] = {name: [] for name in TARGETS}
    for _, own in itertools.product(range(PASSES), FLOATS):
        group = [name for name in TARGETS if float_of(name) == own]
        for name in group * WARMUP:
            calls[name]()
        rows = interleave([calls[name] for name in group], ROUNDS // PASSES, clock="cpu")
        for name, row in zip(group, rows, strict=True):
            times[name] += row.tolist()
    return {name: Measured(top1[name], float(np.median(times[name])), sizes[name]) for name in TARGETS}


def float_of(name: str) -> str:
    """The target in float32 of the same runtime."""
    return next(one for one in FLOATS if one.split("-")[0] == name.split("-")[0])


def table(found: dict[str, dict[str, Measured]], images: dict[str, int]) -> str:
    """One line for each network and target."""
    rows = []
    for network, files in found.items():
        quickest_float = min(files[name].ms for name in FLOATS)
        for name, one in files.items():
            own = files[float_of(name)]
            rows.append(
                [
                    network if name == TARGETS[0] else "",
                    name,
                    with_interval(one.top1_pct, images[network], unit=""),
                    f"{one.top1_pct - own.top1_pct:+.2f}",
                    f"{one.ms:.3f}",
                    f"{own.ms / one.ms:.2f}",
                    f"{quickest_float / one.ms:.2f}",
                    f"{one.size_bytes / 1e3:,.0f}",
                ]
            )
    head = [
        "network",
        "target",
        "test top-1 %",
        "against float",
        "ms",
        "× its float",
        "× the fastest float",
        "kB",
    ]
    return markdown_table(head, rows)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--runs", nargs="+", type=Path, default=[], help="folders of finished runs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    networks = [*map(of_shelf, SHELF), *(one for folder in args.runs for one in of_run(folder))]
    found = {network.name: measure(network, args.out) for network in networks}
    images = {network.name: len(network.labels) for network in networks}
    runtimes = []
    for name in FLOATS:
        target = Target.load(name)
        runner = open_runner(args.out / f"{networks[0].name}.{name}{target.suffix}", target)
        assert not isinstance(runner, str)
        runtimes.append(runner.title.split(", ")[0])
    write(
        RESULTS / "int8_speed.md",
        [
            "# What int8 gains",
            "",
            "The same networks as files for onnxruntime, LiteRT and OpenVINO, in float32 and in int8: "
            "[the script](../int8_speed.py) says how. Top-1 is on test images, with its 95 % interval; "
            "*against float* is in points, in the same runtime. *× the fastest float* is how many times as "
            "fast a file is as the fastest one of the three float files.",
            "",
            f"On {machine_in_words()}; {', '.join(runtimes)}; one image, one thread, a "
            "network's files in turn, runtime by runtime, medians of the thread's time. Made by `python "
            "benchmarks/int8_speed.py --out runs/int8"
            + ("" if not args.runs else " --runs " + " ".join(f"runs/{folder.name}" for folder in args.runs))
            + "`.",
            *(["", *map(about_run, args.runs)] if args.runs else []),
            "",
            table(found, images),
        ],
    )


if __name__ == "__main__":
    main()
