"""What LiteRT files gain by the form in which two operators are written that XNNPACK has no quick one for.

    python benchmarks/litert_forms.py --out runs/litert_forms [--seconds 90]

XNNPACK's depthwise kernels go up to 25 taps, and its hard-swish is for floats alone. So files for LiteRT have
a larger depthwise convolution as a sum of convolutions of some of its rows, and int8 ones hard-swish as
x · relu6(x + 3) / 6. Each network is written as it was before, every operator as it is, and so; onnxruntime's
files are beside. Networks: once-for-all's specialised nets, with random weights, for their latency; and
one of such blocks (7×7, hard-swish, squeeze-and-excite), trained on glyphs for so many seconds, for what the
forms cost in accuracy. One image on one thread; files take turns, medians of the process' time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from export_latency import SPECIALISED, median_ms, noise, specialised
from shared import RESULTS, machine_in_words, options, write
from supernet_ranking import CALIBRATION_BATCH, Images, fit, training_recipe
from supernet_ranking_arms import MUON
from torch import Tensor

from anas_zoo.core.progress import stage
from anas_zoo.core.tables import markdown_table
from anas_zoo.exporting import Target, litert
from anas_zoo.exporting.litert_quantization import quantize_litert
from anas_zoo.exporting.onnx_export import convert, float_graph
from anas_zoo.exporting.runtimes import open_runner
from anas_zoo.nets import Subnet, calibrate_bn
from anas_zoo.space import SearchSpace
from anas_zoo.training import Processes
from anas_zoo.training.step import FixedStep

NETS = ("note10_lat-8ms", "note10_lat-22ms", "note10_lat-50ms", "flops-595M")
LITERT = ("litert-fp32", "litert-int8")
BESIDE = ("ort-cpu-fp32", "ort-vnni-int8")
BEFORE, NOW = "before", "now"
TAPS_OF_ANY_KERNEL = 10**6
ROUNDS = 40  # turns of each file
TRAINED = "glyphs_7x7"
TRAINED_SPACE = "digits"  # whose blocks it has, with other kernels and activations
SIDE, SEED = 24, 0
NOISE_IMAGES = 128


@dataclass(frozen=True)
class Network:
    """One network, the images that int8 ranges come from and, of a trained one, those that score it."""

    name: str
    subnet: Subnet
    calibration: Tensor
    test: Tensor | None = None
    labels: Tensor | None = None


def of_once_for_all(name: str) -> Network:
    """One of once-for-all's specialised nets."""
    nets = json.loads(SPECIALISED.read_text())["specialised"]
    subnet = specialised(next(one for one in nets if one["id"].startswith(f"{name}_")))
    images = noise(subnet.arch.resolution, NOISE_IMAGES)
    calibrate_bn(subnet, [images[:8]])
    return Network(f"ofa_{name}", subnet.eval(), images)


def trained(seconds: float) -> Network:
    """A small network of 7×7 kernels with hard-swish and squeeze-and-excite, trained on glyphs."""
    stage(f"train {TRAINED}")
    config = SearchSpace.load(TRAINED_SPACE).to_dict() | {"name": TRAINED, "resolution": [SIDE]}
    for part in (config["stem"], *config["stages"], config["head"]):
        part["act"] = "hard_swish"
    for part in config["stages"]:
        part["kernel_size"] = [7]
    space = SearchSpace.from_dict(config)
    images, recipe = Images("glyphs", space, torch.device("cpu")), training_recipe("glyphs", MUON)
    torch.manual_seed(SEED)
    subnet = Subnet(space.largest, space.structure, num_classes=images.classes)
    subnet.to(memory_format=torch.channels_last)
    step = FixedStep(subnet, recipe, Processes(torch.device("cpu")))
    fit(step, images.views(recipe), recipe, SEED, torch.device("cpu"), lambda _, spent: spent / seconds)
    calibration = images.calibration(SIDE)
    calibrate_bn(subnet, calibration.split(CALIBRATION_BATCH))
    search = images.search
    labels = torch.as_tensor(search.labels)
    return Network(TRAINED, subnet.eval(), calibration, search(SIDE), labels)


def content_of(network: Network, target: Target, form: str) -> bytes:
    """The file of a network for a target, each operator of a LiteRT file as it is or as it is written now."""
    side, calibration = network.subnet.arch.resolution, network.calibration
    if form == NOW:
        return convert(
            network.subnet, target=target, resolution=side, metadata={}, calibration_images=calibration
        )
    quick = litert.QUICK_TAPS
    litert.QUICK_TAPS = TAPS_OF_ANY_KERNEL
    try:
        content = litert.to_litert(float_graph(network.subnet, target, side), {})
    finally:
        litert.QUICK_TAPS = quick
    how = target.quantization
    return content if how is None else quantize_litert(content, calibration, how)


def rows_of(network: Network, folder: Path) -> list[tuple[str, ...]]:
    """A line for each file of a network."""
    stage(f"export and time {network.name}")
    side = network.subnet.arch.resolution
    files = [(name, form) for name in LITERT for form in (BEFORE, NOW)] + [(name, NOW) for name in BESIDE]
    calls: dict[tuple[str, str], Callable[[], object]] = {}
    top1: dict[tuple[str, str], str] = {}
    for name, form in files:
        target = Target.load(name)
        file = folder / f"{network.name}.{name}.{form}{target.suffix}"
        file.write_bytes(content_of(network, target, form))
        every, one = (open_runner(file, target) for _ in range(2))
        assert not isinstance(every, str), every
        assert not isinstance(one, str)
        calls[name, form] = partial(one.run, noise(side, 1).numpy())
        top1[name, form] = ""
        if network.test is not None and network.labels is not None:
            parts = [every.run(part.numpy()) for part in network.test.split(64)]
            right = np.concatenate(parts).argmax(1) == network.labels.numpy()
            top1[name, form] = f"{100 * right.mean():.2f}"
    ms = median_ms(calls, ROUNDS)
    return [
        (
            network.name if place == 0 else "",
            name,
            form if name in LITERT else "",
            f"{ms[name, form]:.3f}",
            f"{ms[name, BEFORE] / ms[name, NOW]:.2f}" if (name in LITERT and form == NOW) else "",
            top1[name, form],
        )
        for place, (name, form) in enumerate(files)
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="of the training, of one core")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    networks = [*map(of_once_for_all, NETS), trained(args.seconds)]
    head = ["network", "target", "written as", "ms", "× before", "top-1 %"]
    write(
        RESULTS / "litert_forms.md",
        [
            "# Forms of the LiteRT file",
            "",
            "Depthwise convolutions of more than 25 taps, and in int8 hard-swish, as XNNPACK has quick "
            "operators for them (now), beside every operator as it is (before): [the script]"
            "(../litert_forms.py) says how. The nets of once-for-all have random weights; glyphs_7x7 is "
            "scored on the search split.",
            "",
            f"`python benchmarks/litert_forms.py --out runs/litert_forms` on {machine_in_words()}; one "
            "image, one thread.",
            "",
            markdown_table(head, [row for network in networks for row in rows_of(network, args.out)]),
        ],
    )


if __name__ == "__main__":
    main()
